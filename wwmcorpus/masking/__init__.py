"""Rows in, masked rows out: units chosen and replaced by counter hashes; the collator for other loaders."""

from wwmcorpus.masking.apply import IGNORED_LABEL, MaskedRows, mask_rows
from wwmcorpus.masking.base import Masking, RatioSchedule, ReplacingMasking
from wwmcorpus.masking.collator import WholeWordMaskCollator
from wwmcorpus.masking.pad import inside, pad, padded_batch, padded_width
from wwmcorpus.masking.scheme import (
    AnyMasking,
    NgramMasking,
    PermutationMasking,
    SimilarWordMasking,
    SpanMasking,
    TokenMasking,
    WholeWordMasking,
    WordPredictingMasking,
    masking_of,
)
from wwmcorpus.masking.similar import similar_words, write_similar_words
from wwmcorpus.masking.weights import WordWeights
from wwmcorpus.masking.word_weights import write_piece_counts

__all__ = [
    "IGNORED_LABEL",
    "AnyMasking",
    "MaskedRows",
    "Masking",
    "NgramMasking",
    "PermutationMasking",
    "RatioSchedule",
    "ReplacingMasking",
    "SimilarWordMasking",
    "SpanMasking",
    "TokenMasking",
    "WholeWordMaskCollator",
    "WholeWordMasking",
    "WordPredictingMasking",
    "WordWeights",
    "inside",
    "mask_rows",
    "masking_of",
    "pad",
    "padded_batch",
    "padded_width",
    "similar_words",
    "write_piece_counts",
    "write_similar_words",
]
