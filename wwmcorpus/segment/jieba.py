"""jieba behind the Segmenter protocol: exact mode, its default dictionary and its HMM for unseen words."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Any

from wwmcorpus.records import WordSpans
from wwmcorpus.segment.spans import spans_of_texts


class JiebaSegmenter:
    """Cuts text with jieba's exact mode."""

    def __init__(self) -> None:
        self._tokenizer, self.signature = _default_tokenizer()

    def segment(self, texts: Sequence[str]) -> list[WordSpans]:
        """Give jieba's words as spans; jieba's own whitespace words fall away."""
        return spans_of_texts(texts, [self._tokenizer.lcut(text) for text in texts])


@functools.cache
def _default_tokenizer() -> tuple[Any, str]:
    """Give a tokenizer with jieba's own dictionary, and its signature.

    The dictionary is read here: ``jieba.Tokenizer.initialize`` would trust whatever cache lies in the temp folder.
    """
    import jieba

    tokenizer = jieba.Tokenizer()
    with tokenizer.get_dict_file() as dictionary:
        digest = hashlib.sha256(dictionary.read()).hexdigest()[:8]
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer, f"jieba:{jieba.__version__}@{digest}"
