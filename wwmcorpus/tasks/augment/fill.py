# ruff: noqa: N803, N806 - names end in shape suffixes
"""Words in their texts in, what a masked language model would put in their place out: whole words, scored jointly.

All pieces of a word are masked at once, so that the model sees nothing of it. The first is filled in, then the next
given the first, and so on; a beam keeps the best beginnings. The score of a candidate is therefore its probability as a
whole, log p(first) + log p(second | first) + ..., not a product of guesses that do not know of one another.

Suffixes: W words of a batch, K beams, L pieces of a row, N pieces of a word, V pieces of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import compress
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from wwmcorpus.align.tokenizers import load_tokenizer
from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.segment.ltp_checkpoint import choose_device
from wwmcorpus.tasks.pieces import TextEncoder, TextPieces
from wwmcorpus.text import is_han
from wwmcorpus.training.heads import MicroBatch, forward_masked, load_masked_lm, longest_row, quiet_progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wwmcorpus.tasks.augment.settings import AugmentConfig

#: Kinds of pieces. A piece is replaced by one of its kind, so that what comes out is again a Chinese or a Latin word.
_OTHER, _HAN, _LETTERS, _INSIDE = 0, 1, 2, 3
#: So many times the candidates that are asked for are given: not all of them will be words.
_TRIED = 4


class Blank(NamedTuple):
    """A word to be filled in.

    Attributes:
        texts: The text, or the texts of a pair, that the model sees.
        number: Which of them holds the word.
        start: Where it begins there.
        end: Where it ends.
    """

    texts: tuple[str, ...]
    number: int
    start: int
    end: int


class _Row(NamedTuple):
    """A blank as the model reads it: its pieces and segments, where the word's pieces begin, and how many those are."""

    blank: int
    ids: NDArray[np.int32]
    segments: NDArray[np.int64]
    place: int
    num_pieces: int


class WordFiller:
    """Fills in words with a masked language model.

    Args:
        config: Names the model, and says how much of what it should do.

    Raises:
        ConfigError: there is no such model or tokenizer, or no GPU.
    """

    def __init__(self, config: AugmentConfig) -> None:
        assert config.model is not None
        self._config = config
        self._device = choose_device(config.device)
        with quiet_progress():
            self._model: Any = load_masked_lm(config.model, "augmenting model")
        torch.nn.Module.to(self._model, self._device)
        tokenizer = load_tokenizer(config.model)
        self._vocabulary, self._encoder = Vocabulary.of(tokenizer), TextEncoder(tokenizer)
        self._kinds = _kinds(self._vocabulary)
        self._max_length = min(config.max_length, longest_row(self._model.config))
        table = torch.zeros(4, self._model.config.vocab_size, dtype=torch.bool)
        for kind in (_HAN, _LETTERS, _INSIDE):
            table[kind, : len(self._kinds)] = torch.from_numpy(self._kinds == kind)
        self._allowed_4V = table.to(self._device)

    def candidates(self, blanks: Sequence[Blank]) -> list[list[str]]:
        """Give what may stand in each blank, the most probable first; never the word that stood there.

        Several times ``num_candidates``, so that there is something to choose from. None for a word whose pieces are
        not its own or not known to the vocabulary.
        """
        texts = list(dict.fromkeys(text for blank in blanks for text in blank.texts))
        pieces = dict(zip(texts, self._encoder.encode(texts), strict=True))
        made = (self._row(number, blank, pieces) for number, blank in enumerate(blanks))
        rows = sorted(
            (row for row in made if row is not None), key=lambda row: (row.num_pieces, len(row.ids), row.blank)
        )
        found: list[list[str]] = [[] for _ in blanks]
        with _threads(self._config.num_threads), torch.inference_mode():
            for batch in _batches(rows, self._config.batch_size):
                for row, ids in zip(batch, self._fill(batch), strict=True):
                    blank = blanks[row.blank]
                    found[row.blank] = self._spelled(ids, blank.texts[blank.number][blank.start : blank.end])
        return found

    def _row(self, number: int, blank: Blank, pieces: dict[str, TextPieces]) -> _Row | None:
        own = pieces[blank.texts[blank.number]]
        first = int(np.searchsorted(own.offsets[:, 0], blank.start))
        end = int(np.searchsorted(own.offsets[:, 1], blank.end, side="right"))
        if not self._is_own(own, first, end, blank):
            return None
        others = [pieces[text].ids for index, text in enumerate(blank.texts) if index != blank.number]
        room = self._max_length - 1 - len(blank.texts)
        others = [ids[: max(room // 3, room - len(own.ids))] for ids in others]
        room -= sum(map(len, others))
        if end - first > room:
            return None
        begin = max(0, min((first + end - room) // 2, len(own.ids) - room))
        window = own.ids[begin : begin + room]
        parts = [[self._vocabulary.cls_id]]
        place = 0
        for index in range(len(blank.texts)):
            if index == blank.number:
                place = sum(map(len, parts)) + first - begin
            ids = window if index == blank.number else others[0]
            parts += [ids.tolist(), [self._vocabulary.sep_id]]
        num_first = sum(map(len, parts[:3]))
        ids_L = np.concatenate(parts).astype(np.int32)
        return _Row(number, ids_L, (np.arange(len(ids_L)) >= num_first).astype(np.int64), place, end - first)

    def _is_own(self, pieces: TextPieces, first: int, end: int, blank: Blank) -> bool:
        """Say whether the pieces [first, end) are those of the word, and of kinds that can be replaced."""
        if first >= end or pieces.offsets[first, 0] != blank.start or pieces.offsets[end - 1, 1] != blank.end:
            return False
        kinds = self._kinds[pieces.ids[first:end]]
        return bool(kinds[0] != _INSIDE and (kinds != _OTHER).all())

    def _fill(self, rows: Sequence[_Row]) -> list[list[list[int]]]:
        """Give, for rows whose words have as many pieces, the pieces of candidates, the best first."""
        num_pieces, count = rows[0].num_pieces, _TRIED * self._config.num_candidates + 1
        ids_WL, mask_WL, segments_WL, places_W = self._tensors(rows)
        offsets_N = torch.arange(num_pieces, device=self._device)
        grid_WN = places_W[:, None] + offsets_N
        kinds_WN = torch.from_numpy(self._kinds.astype(np.int64)).to(self._device)[ids_WL.gather(1, grid_WN)]
        ids_WL = ids_WL.scatter(1, grid_WN, self._vocabulary.mask_id)
        beams_WKL, scores_WK = ids_WL[:, None], torch.zeros(len(rows), 1, device=self._device)
        for step in range(num_pieces):
            keep = count if step + 1 == num_pieces else self._config.beam_width
            place_W = places_W + step
            logs_WKV = self._logs(beams_WKL, mask_WL, segments_WL, place_W, kinds_WN[:, step])
            top = logs_WKV.topk(min(keep, logs_WKV.shape[-1]), dim=-1)
            totals = (scores_WK[..., None] + top.values).flatten(1)
            scores_WK, chosen = totals.topk(min(keep, totals.shape[1]), dim=1)
            parents = torch.div(chosen, top.indices.shape[-1], rounding_mode="floor")
            beams_WKL = beams_WKL.gather(1, parents[..., None].expand(-1, -1, beams_WKL.shape[-1]))
            filled = top.indices.flatten(1).gather(1, chosen)
            beams_WKL = beams_WKL.scatter(2, place_W[:, None, None].expand(-1, filled.shape[1], 1), filled[..., None])
        words = beams_WKL.gather(2, grid_WN[:, None].expand(-1, beams_WKL.shape[1], -1)).tolist()
        possible = torch.isfinite(scores_WK).tolist()
        return [list(compress(beams, are_real)) for beams, are_real in zip(words, possible, strict=True)]

    def _logs(
        self, beams_WKL: Tensor, mask_WL: Tensor, segments_WL: Tensor, place_W: Tensor, kinds_W: Tensor
    ) -> Tensor:
        """Give the log probability of each piece at one place of each beam; of another kind, minus infinity."""
        num_words, num_beams, length = beams_WKL.shape
        row_begins = torch.arange(num_words * num_beams, device=self._device) * length
        positions = row_begins + place_W.repeat_interleave(num_beams)
        mask, segments = (part_WL.repeat_interleave(num_beams, 0) for part_WL in (mask_WL, segments_WL))
        batch = MicroBatch(beams_WKL.flatten(0, 1), mask, positions, torch.zeros_like(positions), segments_BL=segments)
        logits = forward_masked(self._model, batch).logits_MV
        assert logits is not None
        logs_WKV = logits.float().log_softmax(-1).view(num_words, num_beams, -1)
        return logs_WKV.masked_fill(~self._allowed_4V[kinds_W][:, None], -torch.inf)

    def _tensors(self, rows: Sequence[_Row]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        width = max(len(row.ids) for row in rows)
        ids = np.full((len(rows), width), self._vocabulary.pad_id, dtype=np.int64)
        mask, segments = np.zeros_like(ids), np.zeros_like(ids)
        for number, row in enumerate(rows):
            ids[number, : len(row.ids)] = row.ids
            mask[number, : len(row.ids)] = 1
            segments[number, : len(row.ids)] = row.segments
        places = np.array([row.place for row in rows], dtype=np.int64)
        moved = [torch.from_numpy(array).to(self._device) for array in (ids, mask, segments, places)]
        return moved[0], moved[1], moved[2], moved[3]

    def _spelled(self, candidates: list[list[int]], word: str) -> list[str]:
        """Spell candidates, in capitals where the word has them, and leave out the word itself."""
        pieces = self._vocabulary.pieces
        spelled = ("".join(pieces[i].removeprefix("##") for i in ids) for ids in candidates)
        known = word.lower()
        return list(dict.fromkeys(_cased(text, word) for text in spelled if text.lower() != known))


def _kinds(vocabulary: Vocabulary) -> NDArray[np.int8]:
    """Give the kind of each piece, (num_pieces,) int8."""
    kinds = np.full(vocabulary.num_pieces, _OTHER, dtype=np.int8)
    for piece_id in vocabulary.replacement_ids.tolist():
        text = vocabulary.pieces[piece_id].removeprefix("##")
        is_inside = vocabulary.continues[piece_id]
        if text and all(is_han(ord(character)) for character in text):
            # A Chinese character behind ## is never met in text that BERT's tokenizer cut.
            kinds[piece_id] = _OTHER if is_inside else _HAN
        elif text.isascii() and text.isalpha():
            kinds[piece_id] = _INSIDE if is_inside else _LETTERS
    return kinds


def _cased(text: str, like: str) -> str:
    if not like.isascii() or like.islower():
        return text
    return text.upper() if like.isupper() else text.capitalize()


def _batches(rows: Sequence[_Row], size: int) -> Iterator[list[_Row]]:
    """Cut sorted rows into batches of one number of pieces per word."""
    batch: list[_Row] = []
    for row in rows:
        if batch and (len(batch) == size or row.num_pieces != batch[0].num_pieces):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
