"""Lists of words in, a weight per word out: which words are chosen sooner, later or never. Configuration only."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from wwmcorpus.masking.named_files import WithFiles


class WordWeights(WithFiles):
    """How likely words are chosen, beside one another.

    Words in lists are cut as the vocabulary spells them. A word with weight 0.5 is half as likely to be chosen as one
    with weight 1: with a per-word probability its probability is halved, with an exact budget its rate in the draw
    without replacement (Efraimidis and Spirakis, 2006).
    """

    file_fields: ClassVar[tuple[str, ...]] = ("never_file", "stop_words_file", "counts_file")

    #: Words that are never masked.
    never: tuple[str, ...] = Field(default=(), strict=False)
    #: A UTF-8 file of more of them, one per line; None for none.
    never_file: str | None = None
    #: Words with the weight ``stop_weight``.
    stop_words: tuple[str, ...] = Field(default=(), strict=False)
    #: A UTF-8 file of more of them, one per line; None for none.
    stop_words_file: str | None = None
    #: Weight of stop words. At least 0; 0 is never.
    stop_weight: float = Field(default=0.5, ge=0, allow_inf_nan=False)
    #: A UTF-8 file of ``piece<TAB>count`` lines (``write_piece_counts`` makes one); None: rare words are as all others.
    counts_file: str | None = None
    #: A piece that occurs ``c`` times weighs ``c ** -rare_power``, scaled so that the mean over the counted text is 1;
    #: a word weighs the mean of its pieces. DistilBERT's is 0.7.
    rare_power: float = Field(default=0.7, ge=0, le=2)
