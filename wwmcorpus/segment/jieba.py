"""jieba behind the Segmenter protocol: exact mode, with or without its HMM for unseen words, with a user dictionary.

Neither jieba's cache in the temp folder nor its process-wide set of forbidden words is used: what a segmenter finds
depends on its dictionaries alone, and those stand in its signature.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Any

from wwmcorpus.records import WordSpans
from wwmcorpus.segment.jieba_options import JiebaOptions, without_forbidden
from wwmcorpus.segment.spans import spans_of_texts
from wwmcorpus.segment.user_words import UserWords


class JiebaSegmenter:
    """Cuts text with jieba's exact mode.

    Args:
        options: HMM and user dictionary.

    Raises:
        SegmenterError: the user dictionary cannot be read.
    """

    def __init__(self, options: JiebaOptions | None = None) -> None:
        options = options or JiebaOptions()
        added = options.read()
        default, name, digest = _default_tokenizer()
        self._tokenizer = _extended(default, added) if added.words else default
        self._hmm, self._forbidden = options.hmm, added.forbidden
        self.signature = options.signature(name, [digest, added.digest])

    def segment(self, texts: Sequence[str]) -> list[WordSpans]:
        """Give jieba's words as spans; jieba's own whitespace words fall away."""
        words = [self._tokenizer.lcut(text, HMM=self._hmm) for text in texts]
        if self._forbidden:
            words = [without_forbidden(found, self._forbidden) for found in words]
        return spans_of_texts(texts, words)


@functools.cache
def _default_tokenizer() -> tuple[Any, str, str]:
    """Give a tokenizer with jieba's own dictionary, jieba's name with version, and the dictionary's hash.

    The dictionary is read here: ``jieba.Tokenizer.initialize`` would trust whatever cache lies in the temp folder.
    """
    import jieba

    tokenizer = jieba.Tokenizer()
    with tokenizer.get_dict_file() as dictionary:
        digest = hashlib.sha256(dictionary.read()).hexdigest()[:8]
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer, f"jieba:{jieba.__version__}", digest


def _extended(default: Any, added: UserWords) -> Any:
    """Give another tokenizer that knows the default's words and the user's.

    jieba would forbid a word of frequency 0 to every tokenizer of the process: that is taken back, and
    ``without_forbidden`` does it for this one.
    """
    import jieba

    tokenizer = jieba.Tokenizer()
    tokenizer.FREQ, tokenizer.total, tokenizer.initialized = dict(default.FREQ), default.total, True
    everywhere = set(jieba.finalseg.Force_Split_Words)
    for word, frequency in added.words:
        tokenizer.add_word(word, frequency)
    jieba.finalseg.Force_Split_Words.intersection_update(everywhere)
    return tokenizer
