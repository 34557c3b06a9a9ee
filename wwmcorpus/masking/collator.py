"""Rows of any data set in, a batch for a BERT out: the collator for plain DataLoaders and ``transformers.Trainer``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.config import whole_number
from wwmcorpus.errors import ConfigError, choices
from wwmcorpus.masking.apply import mask_rows
from wwmcorpus.masking.base import Masking
from wwmcorpus.masking.columns import Batch
from wwmcorpus.masking.corpus_check import check_vocabulary
from wwmcorpus.masking.flatten import flatten
from wwmcorpus.masking.pad import inside, padded_batch, padded_width
from wwmcorpus.masking.scheme import WholeWordMasking

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, TrainerCallback

    from wwmcorpus.corpus import Corpus

ReturnTensors = Literal["pt", "np"]


class WholeWordMaskCollator:
    """Masks whole words of the rows that it is given and pads them to one width.

    A row has ``input_ids`` with its special pieces, and either ``word_start`` (True where a word begins and on special
    pieces) or ``chinese_ref`` (positions, [CLS] = 0, of pieces that continue a word, as older corpora have them). The
    mask of a row is a pure function of scheme, seed, epoch and the row's ``row_ids`` (one integer), or of its pieces
    where it has none: rows of equal pieces then have equal masks in an epoch. ``token_type_ids`` and ``pair_label`` go
    into the batch where rows have them; other columns do not.

    Masks change with the epoch, so the collator must hear of it: ``set_epoch`` before each epoch of a DataLoader, or
    ``trainer_callback()`` among the callbacks of a Trainer. Workers of a DataLoader hear of it too, persistent ones
    included: the number lies in shared memory.

    Args:
        tokenizer: The tokenizer of the rows, or its vocabulary.
        masking: Any scheme without a schedule; MiniRBT's whole words by default. One that predicts positions needs a
            head that does: the model is not looked at.
        seed: Any integer; another seed draws other masks.
        pad_to_multiple_of: The width of a batch is a multiple of this; the maximum length gives batches of one width.
            None is 1.
        return_tensors: ``"pt"`` for torch tensors, ``"np"`` for numpy arrays.

    Raises:
        ConfigError: an argument is out of range, the tokenizer lacks special pieces, or a file that the masking names
            cannot be read.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast | Vocabulary,
        masking: Masking | None = None,
        seed: int = 0,
        pad_to_multiple_of: int | None = 1,
        return_tensors: ReturnTensors = "pt",
    ) -> None:
        import torch

        if pad_to_multiple_of is not None and pad_to_multiple_of < 1:
            raise ConfigError(
                "not a multiple", value=pad_to_multiple_of, where="pad_to_multiple_of", fix="Use at least 1."
            )
        self.vocabulary = tokenizer if isinstance(tokenizer, Vocabulary) else Vocabulary.of(tokenizer)
        self.masking: Masking = masking or WholeWordMasking()
        if self.masking.schedule is not None:
            raise ConfigError(
                "a collator does not know how many rows were given before",
                value=self.masking.schedule,
                where="masking.schedule",
                fix="Use Stream for a share that changes, or a collator for each share.",
            )
        self.masking.identity()  # takes the hashes of its files now: what they hold here is what every worker masks by
        self.seed = whole_number(seed, "seed")
        self.pad_to_multiple_of = pad_to_multiple_of or 1
        self.return_tensors = _known(return_tensors)
        self._epoch: torch.Tensor = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]

    @classmethod
    def for_corpus(cls, corpus: Corpus | str | Path, **options: Any) -> Self:
        """Make the collator of a corpus that ``wwmcorpus`` built: its vocabulary is the corpus's own.

        Args:
            corpus: An opened corpus, or its folder.
            options: As of the constructor: masking, seed, pad_to_multiple_of, return_tensors.

        Raises:
            CorpusError: there is no corpus.
        """
        from wwmcorpus.corpus import open_corpus

        opened = open_corpus(corpus) if isinstance(corpus, str | Path) else corpus
        return cls(opened.vocabulary, **options)

    @property
    def epoch(self) -> int:
        """The epoch whose masks are drawn; 0 at first."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draw the masks of another epoch from now on, here and in the workers of every DataLoader.

        Raises:
            ConfigError: it is no whole number.
        """
        self._epoch.fill_(whole_number(epoch, "epoch"))

    def trainer_callback(self) -> TrainerCallback:
        """Give what tells this collator the epoch of a ``transformers.Trainer``: one of its ``callbacks``.

        It also refuses, when the Trainer is made or training begins, what cannot go well:
        ``remove_unused_columns=True``, and a data set of a corpus with another vocabulary.
        """
        from wwmcorpus.masking.trainer_callback import CollatorCallback

        return CollatorCallback(self)

    def check(self, dataset: object) -> bool:
        """Check that a data set was made with this collator's vocabulary, as far as one can see.

        Args:
            dataset: A ``Corpus``, or what ``datasets.load_from_disk`` made of a corpus folder, its selections and
                concatenations included.

        Returns:
            True where the rows lie in corpus folders of ours and fit; False where nothing says what made them.

        Raises:
            CorpusError: they were made with another vocabulary.
        """
        return check_vocabulary(dataset, self.vocabulary)

    def __call__(self, rows: Batch, return_tensors: ReturnTensors | None = None) -> dict[str, Any]:
        """Give ``input_ids``, ``attention_mask`` and ``labels``, int64 of shape (num_rows, width).

        Labels are -100 where nothing is predicted. ``token_type_ids`` of that shape and ``pair_label`` of shape
        (num_rows,), both int64, where rows have them.

        Args:
            rows: A sequence of rows (mappings of lists, numpy arrays or tensors); or a batch as columns: a mapping of
                them, a pyarrow Table or RecordBatch (what a data set ``with_format("arrow")`` gives for a slice or a
                list of indices). Arrow and numpy go through without a Python object per piece.
            return_tensors: Instead of the constructor's.

        Raises:
            CorpusError: there are no rows; a row has no pieces or no words; lengths differ; an id lies outside the
                vocabulary; a reference points outside its row or at a special piece.
        """
        kind = self.return_tensors if return_tensors is None else _known(return_tensors)
        flat = flatten(rows, self.vocabulary)
        masked = mask_rows(flat, self.vocabulary, self.masking, self.seed, self.epoch)
        cells = inside(flat.lengths, padded_width(int(flat.lengths.max()), self.pad_to_multiple_of))
        batch = padded_batch(flat, masked, self.vocabulary, cells)
        if kind == "np":
            return dict(batch)
        import torch

        return {name: torch.from_numpy(values) for name, values in batch.items()}


def _known(return_tensors: ReturnTensors) -> ReturnTensors:
    if return_tensors not in ("pt", "np"):
        raise ConfigError(
            "unknown kind of tensors", value=return_tensors, where="return_tensors", fix=choices(["pt", "np"])
        )
    return return_tensors
