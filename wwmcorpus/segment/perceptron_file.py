"""LTP's perceptron model file: bytes to weights by feature, and back, always the same bytes for the same weights.

LTP numbers its features in the order of a randomly seeded hash map, so two identical trainings leave different files
that predict alike. Here features are sorted by name: the file is a pure function of the weights (and of the zlib used).
It is an Avro object container that holds one record: a map of feature names to rows, and the rows. A row has four
numbers, one per label: S(ingle), B(egin), M(iddle), E(nd). The first four rows are the transitions between labels.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.errors import SegmenterError

NUM_LABELS = 4
_MAGIC = b"Obj\x01"
_SYNC_BYTES = 16
_SCHEMA = {
    "type": "record",
    "name": "cws",
    "fields": [
        {"name": "definition", "type": {"type": "record", "name": "definition", "fields": []}},
        {"name": "features", "type": {"type": "map", "values": "long"}, "default": {}},
        {"name": "parameters", "type": {"type": "array", "items": "double"}, "default": []},
    ],
}


@dataclass(frozen=True, slots=True, eq=False)
class Perceptron:
    """The weights of a segmenter.

    Attributes:
        features: Names, sorted, distinct: ``"7研究"`` is "this character is 研, the next is 究".
        weights: (num_features, 4) float64, one row per feature, one column per label.
        transitions: (4, 4) float64, from the label of the row to the label of the column.
    """

    features: tuple[str, ...]
    weights: NDArray[np.float64]
    transitions: NDArray[np.float64]

    def pruned(self, *, threshold: float, step: float, max_features: int | None) -> Perceptron:
        """Give the model with rounded weights and without the features that weigh little.

        Args:
            threshold: A feature stays where the absolute values of its four weights sum to this or more (and above 0).
            step: Weights are rounded to multiples of it; 0: not rounded. Round numbers compress well.
            max_features: At most so many stay, the heaviest first, equal ones by name; None: all.
        """
        weights, transitions = (
            np.round(each / step) * step if step else each for each in (self.weights, self.transitions)
        )
        weights, transitions = weights + 0.0, transitions + 0.0  # -0.0 and 0.0 are one weight but two byte strings
        mass = np.abs(weights).sum(axis=1)
        heaviest_first = np.argsort(-mass, kind="stable")[:max_features]
        kept = np.sort(heaviest_first[(mass[heaviest_first] >= threshold) & (mass[heaviest_first] > 0)])
        return Perceptron(tuple(self.features[row] for row in kept), weights[kept], transitions)


def read_perceptron(path: str | Path) -> Perceptron:
    """Read a segmenter model that LTP, or ``write_perceptron``, saved.

    Raises:
        SegmenterError: the file is not such a model, or is damaged.
    """
    try:
        record = io.BytesIO(_read_container(Path(path).read_bytes()))
        rows = _read_map(record)
        parameters = _read_doubles(record)
        names = sorted(rows)
        order = np.array([rows[name] for name in names], dtype=np.int64)
        table = parameters.reshape(-1, NUM_LABELS)
        return Perceptron(tuple(names), table[order], table[:NUM_LABELS].copy())
    except (ValueError, IndexError, KeyError, EOFError, zlib.error) as error:
        raise SegmenterError(
            f"not an LTP segmenter model ({error})",
            where=str(path),
            fix="Point to the cws_model.bin of an LTP legacy folder.",
        ) from None


def write_perceptron(model: Perceptron, path: str | Path) -> None:
    """Write the model so that LTP opens it; equal models give equal files."""
    out = io.BytesIO()
    if model.features:
        _write_long(out, len(model.features))
        for row, name in enumerate(model.features, start=NUM_LABELS):
            _write_bytes(out, name.encode())
            _write_long(out, row)
    _write_long(out, 0)
    parameters = np.concatenate([model.transitions, model.weights]).astype("<f8")
    _write_long(out, parameters.size)
    out.write(parameters.tobytes())
    _write_long(out, 0)
    record = out.getvalue()
    Path(path).write_bytes(_container(record))


def _container(record: bytes) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = deflate.compress(record) + deflate.flush()
    sync = hashlib.sha256(record).digest()[:_SYNC_BYTES]
    out = io.BytesIO()
    out.write(_MAGIC)
    metadata = {"avro.codec": b"deflate", "avro.schema": json.dumps(_SCHEMA, separators=(",", ":")).encode()}
    _write_long(out, len(metadata))
    for key, value in metadata.items():
        _write_bytes(out, key.encode())
        _write_bytes(out, value)
    _write_long(out, 0)
    out.write(sync)
    _write_long(out, 1)
    _write_bytes(out, packed)
    out.write(sync)
    return out.getvalue()


def _read_container(data: bytes) -> bytes:
    file = io.BytesIO(data)
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("no Avro header")
    metadata = {}
    while count := _read_long(file):
        for _ in range(_block_items(file, count)):
            key = _read_bytes(file).decode()
            metadata[key] = _read_bytes(file)
    if json.loads(metadata["avro.schema"]).get("name") != "cws":
        raise ValueError("a model of another task")
    codec = metadata.get("avro.codec", b"null").decode()
    sync = file.read(_SYNC_BYTES)
    if _read_long(file) != 1:
        raise ValueError("more than one model")
    packed = _read_bytes(file)
    if file.read(_SYNC_BYTES) != sync:
        raise ValueError("cut off or damaged")
    if codec == "null":
        return packed
    if codec != "deflate":
        raise ValueError(f"unknown compression {codec!r}")
    return zlib.decompress(packed, -zlib.MAX_WBITS)


def _read_map(file: io.BytesIO) -> dict[str, int]:
    rows = {}
    while count := _read_long(file):
        for _ in range(_block_items(file, count)):
            name = _read_bytes(file).decode()
            rows[name] = _read_long(file)
    return rows


def _read_doubles(file: io.BytesIO) -> NDArray[np.float64]:
    parts = []
    while count := _read_long(file):
        parts.append(np.frombuffer(file.read(8 * _block_items(file, count)), dtype="<f8"))
    return np.concatenate(parts).astype(np.float64)


def _block_items(file: io.BytesIO, count: int) -> int:
    if count < 0:  # a negative count is followed by the block's size in bytes
        _read_long(file)
    return abs(count)


def _read_long(file: io.BytesIO) -> int:
    """Read a zigzag varint: the byte 3 is -2."""
    value = shift = 0
    while True:
        byte = file.read(1)
        if not byte:
            raise EOFError("cut off")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return (value >> 1) ^ -(value & 1)
        shift += 7


def _write_long(file: io.BytesIO, number: int) -> None:
    value = number << 1 if number >= 0 else ((-number) << 1) - 1
    while value >= 0x80:
        file.write(bytes([value & 0x7F | 0x80]))
        value >>= 7
    file.write(bytes([value]))


def _read_bytes(file: io.BytesIO) -> bytes:
    size = _read_long(file)
    data = file.read(size) if size >= 0 else b""
    if len(data) != size:
        raise EOFError("cut off")
    return data


def _write_bytes(file: io.BytesIO, data: bytes) -> None:
    _write_long(file, len(data))
    file.write(data)
