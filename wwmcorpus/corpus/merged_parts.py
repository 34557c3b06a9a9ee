"""Manifests in, what decided the rows of each run of sources out: one part, or several where corpora were merged.

A merged corpus has the configuration that its parts share. Where they differ, ``config["parts"]`` says how, part by
part, and ``config["pack"]`` names every way of packing: ``"document+line"``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from wwmcorpus.config import Config
from wwmcorpus.corpus.manifest import Content

PARTS = "parts"
#: What a mixture of corpora draws by; a merged corpus of unlike weights has the usual one.
_WEIGHT, _USUAL_WEIGHT = "sampling_weight", 1.0


class Part(Config):
    """What decided the rows of some sources that follow one another.

    Attributes:
        num_inputs: How many sources.
        segmenter: Signature of what found their words.
        config: Of their build; in a manifest, only what differs from other parts.
    """

    num_inputs: int
    segmenter: str
    config: dict[str, Any]


def parts_of(content: Content) -> list[Part]:
    """Give the parts of a corpus with their whole configurations, in the order of the sources."""
    shared = {key: value for key, value in content.config.items() if key != PARTS}
    if PARTS not in content.config:
        return [Part(num_inputs=len(content.inputs), segmenter=content.segmenter, config=shared)]
    parts = [Part(**values) for values in content.config[PARTS]]
    return [part.model_copy(update={"config": {**shared, **part.config}}) for part in parts]


def shared_config(parts: Sequence[Part]) -> dict[str, Any]:
    """Give the configuration of a corpus that is made of parts, one at least."""
    keys = list(dict.fromkeys(key for part in parts for key in part.config))
    unlike = [key for key in keys if any(_entry(part, key) != _entry(parts[0], key) for part in parts)]
    config = {key: value for key, value in parts[0].config.items() if key not in unlike}
    if not unlike and len({part.segmenter for part in parts}) == 1:
        return config
    config["pack"] = joined(part.config["pack"] for part in parts)
    config.setdefault(_WEIGHT, _USUAL_WEIGHT)
    own = [{key: value for key, value in part.config.items() if key in unlike} for part in parts]
    return config | {
        PARTS: [part.model_copy(update={"config": values}).values() for part, values in zip(parts, own, strict=True)]
    }


def joined(names: Iterable[str]) -> str:
    """Give the names, each once and sorted, with ``+`` between them: what merged corpora are called."""
    return "+".join(sorted(set(names)))


def _entry(part: Part, key: str) -> tuple[bool, Any]:
    return key in part.config, part.config.get(key)
