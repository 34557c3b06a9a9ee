"""LTP's neural segmenter behind the Segmenter protocol: words only, text of any length, on a CPU or a GPU.

The released ``ltp`` package does not run its neural models on today's transformers. Its networks do: they live in
``ltp_core``, and are driven here. What follows them is the published way from tags to words, by positions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from wwmcorpus.records import WordSpans
from wwmcorpus.segment.ltp_checkpoint import check_options, choose_device, device_class, load_checkpoint, place_model
from wwmcorpus.segment.ltp_pieces import Pieces, pieces_of
from wwmcorpus.segment.ltp_windows import cut_into_runs, cut_into_windows, plan_batches, stitch
from wwmcorpus.segment.ltp_words import LtpWords
from wwmcorpus.segment.spans import replace_lone_surrogates, spans_of_cuts

#: For each kind of device, how many pieces a batch holds, and as much padding as costs no more than a further batch.
#: A GPU waits some milliseconds for the hundreds of small programs of a batch, however little each has to do.
_BATCHES = {"cpu": (4096, 12), "cuda": (32768, 2048)}
_MIXED = {"bf16": torch.bfloat16, "fp16": torch.float16}


class LtpNeuralSegmenter:
    """Cuts text with one of LTP's neural models.

    A text of up to 510 pieces is read whole, and its words are LTP's own; how a longer one is cut stands in
    ``ltp_windows``. Halves of surrogate pairs are read as U+FFFD.

    Args:
        folder: A folder in LTP's neural format.
        name: What to call it in the signature.
        num_threads: How many threads torch may use while ``segment`` runs. More than one lets the tokenizer use its
            thread pool, which has a thread per core, or as many as RAYON_NUM_THREADS says when it is first used.
        words: The user's own words.
        device: ``"auto"`` takes a GPU where there is one, ``"cuda"`` insists on one.
        precision: ``"bf16"``, and ``"fp16"`` on a GPU only, are automatic mixed precision. ``"int8"``, on a CPU only,
            quantises as it goes, by the batch: there the words of a text can change with its neighbours in the call.
        batch_pieces: How many pieces a batch holds, padding included; None: 4,096 on a CPU, 32,768 on a GPU.
        compiled: Compile the backbone with torch.compile, on a GPU only.

    Attributes:
        signature: Such as ``"ltp-neural:small@1a2b3c4d:cpu:fp32:threads1"``.
        counts: What happened since the segmenter was made: ``window_conflicts`` (overlapping windows that agreed on no
            word), ``memory_halvings`` (batches that were too large for the memory), ``lone_surrogates``.

    Raises:
        ConfigError: an option does not exist, or not on this device.
        SegmenterError: the folder holds no such model.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        num_threads: int = 1,
        *,
        words: LtpWords | None = None,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        precision: Literal["fp32", "bf16", "fp16", "int8"] = "fp32",
        batch_pieces: int | None = None,
        compiled: bool = False,
    ) -> None:
        self._device = choose_device(device)
        check_options(self._device, precision, num_threads, compiled)
        self._checkpoint = load_checkpoint(folder)
        self._model = place_model(self._checkpoint.model, self._device, precision, compiled)
        self._begins_word = _begins_word(self._checkpoint.tags)
        self._words = words or LtpWords()
        self._num_threads, self._mixed = num_threads, _MIXED.get(precision)
        pieces_here, self._padding_pieces = _BATCHES[self._device.type]
        self._batch_pieces = batch_pieces or pieces_here
        self.counts: Counter[str] = Counter(window_conflicts=0, memory_halvings=0, lone_surrogates=0)
        self.signature = (
            f"ltp-neural:{name}@{self._checkpoint.digest}{self._words.signature}:{device_class(self._device)}"
            f":{precision}{'-compiled' if compiled else ''}:threads{num_threads}"
        )

    def segment(self, texts: Sequence[str]) -> list[WordSpans]:
        """Give the words of each text as spans: (num_words, 2) int32 each."""
        pieces = self._pieces(texts)
        window_pieces = self._checkpoint.window_pieces
        runs = [cut_into_runs(text.text, text.starts, window_pieces) for text in pieces]
        windows = [[cut_into_windows(*run, window_pieces) for run in of_text] for of_text in runs]
        rows = [
            (text, first, end)
            for text, of_text in zip(pieces, windows, strict=True)
            for of_run in of_text
            for first, end in of_run
        ]
        with _threads(self._num_threads), torch.inference_mode():
            found = iter(self._read(rows))
        cuts = [
            self._cuts(text, text_runs, [self._join(of_run, found) for of_run in of_text])
            for text, text_runs, of_text in zip(pieces, runs, windows, strict=True)
        ]
        return spans_of_cuts([text.text for text in pieces], cuts)

    def _pieces(self, texts: Sequence[str]) -> list[Pieces]:
        clean = []
        for text in texts:
            readable, num_halves = replace_lone_surrogates(text)
            self.counts["lone_surrogates"] += num_halves
            clean.append(readable)
        tokenizer = self._checkpoint.tokenizer
        if self._num_threads > 1:
            encodings = tokenizer.encode_batch(clean, add_special_tokens=False)
        else:
            encodings = [tokenizer.encode(text, add_special_tokens=False) for text in clean]
        return [pieces_of(text, encoding) for text, encoding in zip(clean, encodings, strict=True)]

    def _read(self, rows: Sequence[tuple[Pieces, int, int]]) -> list[NDArray[np.bool_]]:
        """Give for each window, (end - first,) bool, at which of its pieces a word begins."""
        found: list[NDArray[np.bool_]] = [np.empty(0, bool)] * len(rows)
        lengths = [end - first + 2 for _, first, end in rows]
        for batch in plan_batches(lengths, self._batch_pieces, self._padding_pieces):
            ids = [text.ids[first:end] for text, first, end in (rows[index] for index in batch)]
            for index, tags in zip(batch, self._tags(ids), strict=True):
                text, first, end = rows[index]
                visible = np.flatnonzero(text.visible[first:end])
                seen = tags[visible]
                begins = np.zeros(end - first, dtype=bool)
                begins[visible[:1]] = True
                begins[visible[1:]] = self._begins_word[seen[:-1], seen[1:]]
                found[index] = begins
        return found

    def _tags(self, ids: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
        """Give the class of each piece of each window; a batch for which the memory is too small is halved."""
        try:
            tags = self._forward(ids)
        except (MemoryError, RuntimeError) as error:
            if len(ids) == 1 or not _is_out_of_memory(error):
                raise
        else:
            return [row[: len(window)] for row, window in zip(tags, ids, strict=True)]
        # Outside of the except clause, which would keep the tensors of the failed try alive.
        self.counts["memory_halvings"] += 1
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        half = len(ids) // 2
        return self._tags(ids[:half]) + self._tags(ids[half:])

    def _forward(self, ids: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Give the best classes of one batch, (len(ids), longest of ids) int64; those of padding mean nothing."""
        rows = np.full((len(ids), max(map(len, ids)) + 2), self._checkpoint.pad_id, dtype=np.int64)
        mask = np.zeros_like(rows)
        rows[:, 0] = self._checkpoint.cls_id
        for row, mask_row, window in zip(rows, mask, ids, strict=True):
            row[1 : len(window) + 1] = window
            row[len(window) + 1] = self._checkpoint.sep_id
            mask_row[: len(window) + 2] = 1
        input_ids, attention_mask = (torch.from_numpy(array).to(self._device) for array in (rows, mask))
        # Of a mask that hides nothing the backbone would ask the device, and wait for the answer.
        hiding = None if mask.all() else attention_mask
        with torch.autocast(self._device.type, self._mixed, enabled=self._mixed is not None):
            hidden = self._model.backbone(input_ids=input_ids, attention_mask=hiding)
            result = self._model.task_heads["cws"](*self._model.processor["cws"](hidden, attention_mask))
        logits = result.logits.float()
        if result.crf is None:
            best = logits.argmax(dim=-1)
        else:
            best = best_path(torch.log_softmax(logits, dim=-1), result.attention_mask, result.crf)
        return np.asarray(best.cpu().numpy())

    def _join(self, windows: Sequence[tuple[int, int]], found: Iterator[NDArray[np.bool_]]) -> NDArray[np.bool_]:
        joined, conflicts = stitch(windows, [next(found) for _ in windows])
        self.counts["window_conflicts"] += conflicts
        return joined

    def _cuts(
        self, pieces: Pieces, runs: Sequence[tuple[int, int]], found: Sequence[NDArray[np.bool_]]
    ) -> NDArray[np.int64]:
        """Give where words begin in a text, (n,) int64, from the pieces of its runs that begin words."""
        cuts = [pieces.starts[first:end][begins] for (first, end), begins in zip(runs, found, strict=True)]
        if self._words:
            cuts = [of_run for of_run in cuts if len(of_run)]
            ends = [*(int(of_run[0]) for of_run in cuts[1:]), len(pieces.text)][: len(cuts)]
            cuts = [self._with_users_words(pieces, of_run, end) for of_run, end in zip(cuts, ends, strict=True)]
        return np.concatenate([np.empty(0, np.int64), *cuts])

    def _with_users_words(self, pieces: Pieces, cuts: NDArray[np.int64], end: int) -> NDArray[np.int64]:
        """Give where words begin once the user's own are known; never inside a piece.

        Args:
            pieces: The text.
            cuts: (num_words,) int64, where the words of a run begin.
            end: Where the run ends, in code points.
        """
        begin = int(cuts[0])
        bounds = [*cuts.tolist(), end]
        words = [pieces.text[first:last] for first, last in pairwise(bounds)]
        lengths = [len(word) for word in self._words.cut(words)]
        asked = np.array([*accumulate(lengths[:-1], initial=begin)])
        return np.intersect1d(asked, pieces.starts[pieces.visible])


def best_path(emissions: torch.Tensor, mask: torch.Tensor, crf: Any) -> torch.Tensor:
    """Give the most probable classes under a linear-chain CRF.

    Args:
        emissions: (batch, length, num_classes) float32.
        mask: (batch, length) bool, each row True up to its end; the first column is True.
        crf: Its ``start_transitions``, ``transitions`` (from, to) and ``end_transitions``.

    Returns:
        (batch, length) int64; behind a row's end its last class is repeated.
    """
    score = crf.start_transitions + emissions[:, 0]
    stay = torch.arange(emissions.shape[2], device=emissions.device)
    sources = []
    for emission, inside in zip(emissions.unbind(1)[1:], mask.unbind(1)[1:], strict=True):
        best, source = (score.unsqueeze(2) + crf.transitions + emission.unsqueeze(1)).max(dim=1)
        score = torch.where(inside.unsqueeze(1), best, score)
        sources.append(torch.where(inside.unsqueeze(1), source, stay))
    path = [(score + crf.end_transitions).argmax(dim=1, keepdim=True)]
    for source in reversed(sources):
        path.append(source.gather(1, path[-1]))
    return torch.cat(path[::-1], dim=1)


def _begins_word(tags: Sequence[str]) -> NDArray[np.bool_]:
    """Say for each pair of neighbouring tags whether a word ends between them, as LTP's own get_entities does.

    Returns:
        (num_tags, num_tags) bool, entry [before, after].
    """
    from ltp_extension.algorithms import get_entities

    return np.array(
        [[any(first == 1 or last == 0 for _, first, last in get_entities([a, b])) for b in tags] for a in tags]
    )


def _is_out_of_memory(error: BaseException) -> bool:
    """Say whether it is; a CPU and cuBLAS have no class for it."""
    said = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(words in str(error) for words in said)


@contextmanager
def _threads(num_threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
