"""Documents in, cleaned documents out, or the reason why one is left out; every change is counted.

Segmenter and tokenizer both read what comes out of here, so that word spans and piece offsets count in one string.
The steps, always in this order; each is an option:

1. control characters and byte order marks out,
2. zero-width characters out,
3. full-width letters and digits to ASCII,
4. traditional to simplified characters, or another conversion of OpenCC,
5. runs of blanks to one space, lines without blanks at their ends,
6. boilerplate lines out,
7. documents out that repeat their lines too much: ``"repeated_lines"``,
8. repeated lines out,
9. documents out that are ``"blank"``, ``"too_short"``, ``"too_long"`` or have ``"too_little_chinese"``.

Cleaning what is clean changes nothing, but for rare characters that OpenCC converts in two steps (薴 to 苧, 苧 to 苎).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from wwmcorpus.config import Config
from wwmcorpus.errors import ConfigError, MissingExtraError
from wwmcorpus.records import Document, Rejection
from wwmcorpus.text.normalise import han_ratio, narrowed, normalise, without_extra_blanks, without_zero_width

#: The conversions of OpenCC: s simplified, t traditional, tw and hk as in Taiwan and Hong Kong, p with their phrases.
Conversion = Literal[
    "t2s", "s2t", "tw2s", "s2tw", "tw2sp", "s2twp", "hk2s", "s2hk", "t2tw", "tw2t", "t2hk", "hk2t", "t2jp", "jp2t"
]


class CleanOptions(Config):
    """What is done to a document's text, and which documents are left out for it."""

    #: Remove control characters that are not whitespace, and byte order marks.
    remove_control: bool = True
    #: Remove zero-width spaces, soft hyphens, marks of direction and the like. The two joiners stay where they join
    #: emoji or letters of other scripts, and go beside Chinese characters, punctuation and blanks.
    remove_zero_width: bool = True
    #: Write full-width Latin letters and digits as ASCII. Full-width punctuation stays.
    narrow_letters: bool = False
    #: A conversion of OpenCC (extra ``convert``): "t2s" for traditional to simplified. None: as written.
    convert: Conversion | None = None
    #: Write runs of blanks as one space, and take blanks off both ends of a line. Line ends stay.
    collapse_blanks: bool = False
    #: Regular expressions: a line in which one of them is found is removed.
    boilerplate: tuple[str, ...] = Field(default=(), strict=False)
    #: Leave out documents in which more than this share of the lines stood before in the same document. Blank lines do
    #: not count. In [0, 1]; 1: none.
    max_repeated_lines: float = Field(default=1.0, ge=0, le=1)
    #: Remove lines that stood before in the same document.
    drop_repeated_lines: bool = False
    #: Leave out documents with fewer characters, blanks counted.
    min_characters: int = Field(default=0, ge=0)
    #: Leave out documents with more; None: no limit.
    max_characters: int | None = Field(default=None, ge=1)
    #: Leave out documents in which a smaller share of the characters, blanks not counted, is Chinese. In [0, 1].
    min_han_ratio: float = Field(default=0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _check_boilerplate(self) -> Self:
        for pattern in self.boilerplate:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ConfigError(
                    f"not a regular expression: {error}", value=pattern, where="boilerplate", fix="Mend or escape it."
                ) from None
        return self

    @property
    def reasons(self) -> frozenset[str]:
        """Why documents may be left out as these options ask for it."""
        return frozenset(("repeated_lines", "too_short", "too_long", "too_little_chinese"))


class _Problem(NamedTuple):
    """Why a document is left out."""

    reason: str
    detail: str


#: Gives the text as it goes on, or why it does not.
_Step = Callable[[str], str | _Problem]


class Cleaner:
    """Cleans documents one by one.

    Args:
        options: What to do; by default control and zero-width characters are removed.

    Attributes:
        counts: What was changed, in characters, line ends among them: ``removed_control_characters``,
            ``removed_zero_width_characters``, ``narrowed_characters``, ``converted_characters``, ``removed_blanks``,
            ``removed_boilerplate_characters``, ``removed_repeated_characters``; of the last two the lines as well:
            ``removed_boilerplate_lines``, ``removed_repeated_lines``. A step that changed nothing is not there.

    Raises:
        MissingExtraError: a conversion is asked for and OpenCC is not installed.
    """

    def __init__(self, options: CleanOptions | None = None) -> None:
        self._options = options = options or CleanOptions()
        self.counts: Counter[str] = Counter()
        boilerplate = [re.compile(pattern) for pattern in options.boilerplate]
        steps: list[tuple[bool, Callable[[], _Step]]] = [
            (options.remove_control, lambda: self._counted(normalise, "removed_control_characters")),
            (options.remove_zero_width, lambda: self._counted(without_zero_width, "removed_zero_width_characters")),
            (options.narrow_letters, lambda: self._counted(narrowed, "narrowed_characters")),
            (bool(options.convert), lambda: self._counted(_converter(str(options.convert)), "converted_characters")),
            (options.collapse_blanks, lambda: self._counted(without_extra_blanks, "removed_blanks")),
            (bool(boilerplate), lambda: lambda text: self._without_boilerplate(text, boilerplate)),
            (options.max_repeated_lines < 1, lambda: self._check_repeated),
            (options.drop_repeated_lines, lambda: self._without_repeated),
            (True, lambda: self._check),
        ]
        self._steps = [make() for is_wanted, make in steps if is_wanted]
        others = options.model_copy(update={"remove_control": True, "remove_zero_width": True})
        self._leaves_printable = others == CleanOptions()

    def clean(self, document: Document) -> Document | Rejection:
        """Give the document with its text cleaned, the same object where nothing changed; or why it is left out."""
        text = document.text
        # Most documents by far: nothing but letters, punctuation and spaces, and no option that would touch those.
        if self._leaves_printable and text.isprintable() and text and not text.isspace():
            return document
        for step in self._steps:
            result = step(text)
            if not isinstance(result, str):
                return Rejection(
                    result.reason,
                    document.source,
                    document.offset,
                    result.detail,
                    source_index=document.source_index,
                )
            text = result
        return document if text is document.text else document._replace(text=text)

    def _counted(self, change: Callable[[str], tuple[str, int]], name: str) -> _Step:
        def step(text: str) -> str:
            text, number = change(text)
            if number:
                self.counts[name] += number
            return text

        return step

    def _without_boilerplate(self, text: str, patterns: list[re.Pattern[str]]) -> str:
        keep = [not any(pattern.search(line) for pattern in patterns) for line in text.split("\n")]
        return self._kept_lines(text, keep, "boilerplate")

    def _without_repeated(self, text: str) -> str:
        return self._kept_lines(text, _first_lines(text), "repeated")

    def _kept_lines(self, text: str, keep: list[bool], what: str) -> str:
        if all(keep):
            return text
        clean = "\n".join(line for line, kept in zip(text.split("\n"), keep, strict=True) if kept)
        self.counts[f"removed_{what}_lines"] += keep.count(False)
        self.counts[f"removed_{what}_characters"] += len(text) - len(clean)
        return clean

    def _check_repeated(self, text: str) -> str | _Problem:
        num_repeated = _first_lines(text).count(False)
        if num_repeated:
            share = num_repeated / sum(1 for line in text.split("\n") if line.strip())
            if share > self._options.max_repeated_lines:
                return _Problem(
                    "repeated_lines", f"{share:.0%} of the lines are, at most {self._options.max_repeated_lines:.0%}"
                )
        return text

    def _check(self, text: str) -> str | _Problem:
        options = self._options
        if not text or text.isspace():
            return _Problem("blank", "nothing but whitespace is left after cleaning")
        if len(text) < options.min_characters:
            return _Problem("too_short", f"{len(text)} characters, at least {options.min_characters}")
        if options.max_characters is not None and len(text) > options.max_characters:
            return _Problem("too_long", f"{len(text)} characters, at most {options.max_characters}")
        if options.min_han_ratio > 0 and (ratio := han_ratio(text)) < options.min_han_ratio:
            return _Problem(
                "too_little_chinese", f"{ratio:.0%} of the characters, at least {options.min_han_ratio:.0%}"
            )
        return text


def _first_lines(text: str) -> list[bool]:
    """Say of each line whether it is blank or stands there for the first time; blanks at its ends do not matter."""
    if "\n" not in text:
        return [True]
    seen: set[str] = set()
    first = []
    for line in map(str.strip, text.split("\n")):
        first.append(not line or line not in seen)
        seen.add(line)
    return first


def _converter(name: str) -> Callable[[str], tuple[str, int]]:
    """Give the function that converts a text by OpenCC and says how many characters it replaced."""
    try:
        from opencc import OpenCC
    except ImportError:
        raise MissingExtraError.of("opencc", "convert", f"clean.convert = {name!r}") from None
    opencc = OpenCC(name)

    def convert(text: str) -> tuple[str, int]:
        converted = opencc.convert(text)
        if converted == text:
            return text, 0
        # A phrase may change its length, so that characters cannot be compared place by place.
        return converted, max((Counter(text) - Counter(converted)).total(), 1)

    return convert
