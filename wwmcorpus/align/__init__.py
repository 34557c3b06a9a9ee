"""Words and pieces of the same text, put together by position; tokenizers, vocabularies, ``chinese_ref``."""

from wwmcorpus.align.aligner import AlignedLine, Aligner, FlatAlignment
from wwmcorpus.align.refs import RefMaker, Refs, chinese_ref, word_start_of_ref
from wwmcorpus.align.tokenizers import load_tokenizer, save_tokenizer, tokenizer_signature
from wwmcorpus.align.vocabulary import Vocabulary

__all__ = [
    "AlignedLine",
    "Aligner",
    "FlatAlignment",
    "RefMaker",
    "Refs",
    "Vocabulary",
    "chinese_ref",
    "load_tokenizer",
    "save_tokenizer",
    "tokenizer_signature",
    "word_start_of_ref",
]
