"""What the user says about the sources: how bytes become documents, and how much is too much."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wwmcorpus.config import Config


class SourceOptions(Config):
    """How sources become documents."""

    #: How a text file holds documents. "line": one a line. "blank_line": blank lines separate them. "sentence_line":
    #: the same, and each line is one sentence, as BERT's own input has it. "wikiextractor": WikiExtractor's blocks
    #: ``<doc id="1" ...>`` to ``</doc>``, or its rows of JSON; its files ``wiki_00`` need no ending.
    document_break: Literal["line", "blank_line", "sentence_line", "wikiextractor"] = "line"
    #: Name of the field or column that holds the text: a string, or its words in a list, which become one string with
    #: a space between words, as the segmenter "given" reads them.
    text_field: str = "text"
    #: Name of the field or column that holds the document's id, a string or a number; None: documents have no id.
    id_field: str | None = None
    #: What becomes of text that is not UTF-8. "reject": its document is left out. "skip_line": its line is, and the
    #: document keeps its other lines. "replace": bad bytes become U+FFFD.
    invalid_utf8: Literal["reject", "skip_line", "replace"] = "reject"
    #: A longer document is skipped as it streams by and counted. Bytes of UTF-8.
    max_document_bytes: int = Field(default=16 * 1024 * 1024, ge=1)
    #: A compressed file that grows more than this many times is given up; its first 16 MiB are always read. Text grows
    #: 2 to 50 times, gzip can reach 1,028 and zstd 32,000.
    max_expansion: int = Field(default=200, ge=1)
    #: Which split is read of a hub data set, or of a folder that ``DatasetDict.save_to_disk`` wrote.
    hub_split: str = "train"
