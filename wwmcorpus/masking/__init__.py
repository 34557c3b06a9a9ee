"""Rows in, masked rows out: whole words, chosen and replaced by counter hashes; the collator for other loaders."""

from wwmcorpus.masking.apply import MaskedRows, mask_rows
from wwmcorpus.masking.collator import WholeWordMaskCollator
from wwmcorpus.masking.pad import IGNORED_LABEL, inside, pad, padded_batch, padded_width
from wwmcorpus.masking.scheme import WholeWordMasking

__all__ = [
    "IGNORED_LABEL",
    "MaskedRows",
    "WholeWordMaskCollator",
    "WholeWordMasking",
    "inside",
    "mask_rows",
    "pad",
    "padded_batch",
    "padded_width",
]
