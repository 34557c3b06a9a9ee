"""Lines and values in, documents out, or the rejection that says why there is none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from wwmcorpus.records import Document, Rejection
from wwmcorpus.text.sources.options import SourceOptions
from wwmcorpus.text.sources.source import Slice


class DocumentMaker:
    """Makes the documents of one slice.

    Args:
        part: The slice.
        options: How sources become documents.
    """

    def __init__(self, part: Slice, options: SourceOptions) -> None:
        self._index, self._name = part.source_index, part.name
        self._options = options
        self._errors = "replace" if options.invalid_utf8 == "replace" else "strict"

    def of_line(self, offset: int, raw: bytes | int, bom_bytes: int = 0) -> Document | Rejection:
        """Give the document of a line as ``LineReader`` gives it, or of several joined."""
        text = self.text(offset, raw, bom_bytes)
        if isinstance(text, Rejection):
            return text
        if not text or text.isspace():
            return self.blank(offset)
        return Document(text, self._index, self._name, offset)

    def of_run(
        self, offset: int, run: list[bytes] | int, bom_bytes: int, end: int | None
    ) -> Iterator[Document | Rejection]:
        """Give the documents of those lines of a run that begin before ``end``: decoded at once where that can be."""
        if isinstance(run, int):
            yield self.too_long(offset, run)
            return
        joined = b"\n".join(run)
        try:
            texts = joined.decode().split("\n")
        except UnicodeDecodeError:
            texts = None
        has_returns = b"\r" in joined
        index, name = self._index, self._name
        for number, raw in enumerate(run):
            if end is not None and offset >= end:
                return
            if texts is None:
                yield self.of_line(offset, raw.removesuffix(b"\r"), bom_bytes)
            else:
                text = texts[number].removesuffix("\r") if has_returns else texts[number]
                yield self.blank(offset) if not text or text.isspace() else Document(text, index, name, offset)
            offset += len(raw) + 1

    def text(self, offset: int, raw: bytes | int, bom_bytes: int = 0) -> str | Rejection:
        """Decode a line."""
        if isinstance(raw, int):
            return self.too_long(offset, raw)
        try:
            return raw.decode("utf-8", self._errors)
        except UnicodeDecodeError as error:
            return self.invalid_utf8(offset, error, bom_bytes)

    def of_text(self, offset: int, text: str, doc_id: str | None = None) -> Document | Rejection:
        """Give the document of a text that is valid Unicode."""
        if not text or text.isspace():
            return self.blank(offset)
        return Document(text, self._index, self._name, offset, doc_id)

    def of_json(
        self, offset: int, raw: bytes | int, bom_bytes: int = 0, clean: Callable[[str], str] | None = None
    ) -> Document | Rejection:
        """Give the document of a row of JSON; ``clean`` is done to its text."""
        line = self.text(offset, raw, bom_bytes)
        if isinstance(line, Rejection):
            return line
        if not line or line.isspace():
            return self.reject("blank", offset, "a line without a row")
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            return self.reject("broken_json", offset, str(error))
        if not isinstance(row, dict):
            return self.no_text_field(offset, type(row).__name__)
        return self.of_row(offset, row, clean)

    def of_row(
        self, offset: int, row: Mapping[str, object], clean: Callable[[str], str] | None = None
    ) -> Document | Rejection:
        """Give the document of a row by the names of its fields; a text in bytes is UTF-8."""
        if self._options.text_field not in row:
            return self.no_text_field(offset, str(sorted(row)[:8]))
        try:
            text = self._text(row)
            doc_id = self._id(row)
            num_bytes = max(len(string.encode("utf-8")) for string in (text, doc_id or ""))
        except UnicodeDecodeError as error:
            return self.reject("invalid_utf8", offset, f"byte {error.start} of the text: {error.reason}")
        except UnicodeEncodeError as error:
            return self.reject("lone_surrogate", offset, f"character {error.start} is half of a surrogate pair")
        except _FieldError as error:
            return self.reject(error.reason, offset, str(error))
        if num_bytes > self._options.max_document_bytes:
            return self.too_long(offset, num_bytes)
        return self.of_text(offset, clean(text) if clean else text, doc_id)

    def _text(self, row: Mapping[str, object]) -> str:
        field = self._options.text_field
        value = self._decoded(row[field])
        if isinstance(value, list):
            words = [self._decoded(word) for word in value]
            value = " ".join(words) if all(isinstance(word, str) for word in words) else value
        if not isinstance(value, str):
            raise _FieldError("text_not_a_string", f"field {field!r} holds {type(value).__name__}")
        return value

    def _decoded(self, value: Any) -> Any:
        return value.decode("utf-8", self._errors) if isinstance(value, bytes) else value

    def _id(self, row: Mapping[str, object]) -> str | None:
        field = self._options.id_field
        if field is None:
            return None
        value = self._decoded(row.get(field))
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise _FieldError("no_id", f"field {field!r} holds no string and no number")
        return str(value)

    def invalid_utf8(self, offset: int, error: UnicodeDecodeError, bom_bytes: int = 0) -> Rejection:
        """Reject a line by the place of its first bad byte."""
        place = offset + error.start + (bom_bytes if offset == 0 else 0)
        return self.reject("invalid_utf8", offset, f"byte {place}: {error.reason}")

    def blank(self, offset: int) -> Rejection:
        """Reject a document without text."""
        return self.reject("blank", offset, "no characters but whitespace")

    def too_long(self, offset: int, num_bytes: int) -> Rejection:
        """Reject a document of so many bytes, or more."""
        detail = f"{num_bytes} bytes or more, at most {self._options.max_document_bytes} allowed"
        return self.reject("document_too_long", offset, detail)

    def no_text_field(self, offset: int, found: str) -> Rejection:
        """Reject a row without the field."""
        return self.reject("no_text_field", offset, f"no field {self._options.text_field!r}; found {found}")

    def reject(self, reason: str, offset: int, detail: str) -> Rejection:
        """Give a rejection of this source."""
        return Rejection(reason, self._name, offset, detail, self._index)


class _FieldError(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
