"""A data set and a vocabulary in; an error out where the data set comes from a corpus of another vocabulary."""

from __future__ import annotations

from pathlib import Path

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.errors import CorpusError


def check_vocabulary(dataset: object, vocabulary: Vocabulary) -> bool:
    """Compare the vocabulary with those in the manifests of the corpora that a data set reads.

    Returns:
        True where there are manifests and they agree; False where no file of the data set is a shard of ours.

    Raises:
        CorpusError: a corpus was made with another vocabulary.
    """
    found = _vocabularies(dataset)
    for place, sha256 in found.items():
        if sha256 != vocabulary.sha256:
            raise CorpusError(
                f"the rows were made with vocabulary {sha256[:8]}, the collator has {vocabulary.sha256[:8]}",
                where=place,
                fix="Make it with WholeWordMaskCollator.for_corpus, or give it the tokenizer beside the corpus.",
            )
    return bool(found)


def _vocabularies(dataset: object) -> dict[str, str]:
    """Give the hash of the vocabulary by the folder of each corpus that a data set reads."""
    from wwmcorpus.corpus import Corpus, Manifest

    if isinstance(dataset, Corpus):
        return {str(dataset.path): dataset.vocabulary.sha256}
    found: dict[str, str] = {}
    for file in _files(dataset):
        folder = str(file.parent)
        if folder in found:
            continue
        try:
            content = Manifest.read(file.parent).content
        except CorpusError:  # a folder of somebody else, of which we know nothing
            continue
        if file.name in {shard.name for shard in content.shards}:  # and not what dataset.map left beside them
            found[folder] = content.vocabulary_sha256
    return found


def _files(dataset: object) -> list[Path]:
    """Give the Arrow files that a ``datasets.Dataset`` reads; none of anything else."""
    entries = getattr(dataset, "cache_files", None)
    return [Path(entry["filename"]) for entry in entries] if isinstance(entries, list) else []
