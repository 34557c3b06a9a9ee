"""Rows in, masked rows out: whole words, chosen and replaced by counter hashes; the collator for other loaders."""

from wwmcorpus.masking.apply import IGNORED_LABEL, MaskedRows, mask_rows
from wwmcorpus.masking.base import Masking, RatioSchedule
from wwmcorpus.masking.collator import WholeWordMaskCollator
from wwmcorpus.masking.pad import inside, pad, padded_batch, padded_width
from wwmcorpus.masking.scheme import AnyMasking, WholeWordMasking
from wwmcorpus.masking.weights import WordWeights

__all__ = [
    "IGNORED_LABEL",
    "AnyMasking",
    "MaskedRows",
    "Masking",
    "RatioSchedule",
    "WholeWordMaskCollator",
    "WholeWordMasking",
    "WordWeights",
    "inside",
    "mask_rows",
    "pad",
    "padded_batch",
    "padded_width",
]
