"""The arguments of a stream in, one clear error out where they do not fit together."""

from __future__ import annotations

from collections.abc import Sequence

from wwmcorpus.corpus import Corpus
from wwmcorpus.errors import ConfigError, CorpusError
from wwmcorpus.stream.mixture import shares_of
from wwmcorpus.stream.settings import StreamOptions

#: Where a manifest records how often mixtures draw from its corpus.
_WEIGHT, _USUAL_WEIGHT = "sampling_weight", 1.0


def check_ranks(global_batch_size: int, rank: int, world_size: int) -> None:
    """Check that the ranks share the global batch evenly.

    Raises:
        ConfigError: they do not; those world sizes that do are listed.
    """
    if global_batch_size < 1:
        raise ConfigError(
            "a global batch without rows", value=global_batch_size, where="global_batch_size", fix="Use at least 1."
        )
    if world_size < 1 or global_batch_size % world_size:
        fitting = [n for n in range(1, global_batch_size + 1) if global_batch_size % n == 0]
        raise ConfigError(
            f"world size {world_size} does not divide the global batch of {global_batch_size}",
            fix=f"Use one of {fitting}.",
        )
    if not 0 <= rank < world_size:
        raise ConfigError(
            "no such rank",
            value=rank,
            where=f"world size {world_size}",
            fix=f"Ranks run from 0 to {world_size - 1}.",
        )


def check_corpora(corpora: Sequence[Corpus], global_batch_size: int, options: StreamOptions) -> None:
    """Check that there are rows, and that rows of several corpora can stand in one batch.

    Raises:
        ConfigError: there is no corpus, or something else in its place.
        CorpusError: too few rows; or two corpora differ in vocabulary or in having pairs.
    """
    if not corpora:
        raise ConfigError("a stream without a corpus", where="corpus", fix="Give at least one.")
    for corpus in corpora:
        if not isinstance(corpus, Corpus):
            raise ConfigError(
                "a stream reads opened corpora", value=corpus, where="corpus", fix="Give what open_corpus gave."
            )
        if not len(corpus):
            raise CorpusError("the corpus has no rows", where=str(corpus.path), fix="Build it from more text.")
        for name, own, first in (
            ("vocabulary", corpus.vocabulary.sha256, corpora[0].vocabulary.sha256),
            ("has_pairs", corpus.has_pairs, corpora[0].has_pairs),
        ):
            if own != first:
                raise CorpusError(
                    f"the corpora differ in {name}",
                    value=f"{corpora[0].path}: {first}; {corpus.path}: {own}",
                    fix="Build one of them again as the other was built.",
                )
    num_rows = sum(map(len, corpora))
    if num_rows < global_batch_size and (len(corpora) > 1 or options.tail == "drop"):
        raise CorpusError(
            f"the corpus has {num_rows} rows, fewer than one global batch of {global_batch_size}",
            where=", ".join(str(corpus.path) for corpus in corpora),
            fix="Make global_batch_size smaller, or the corpus larger.",
        )


def mixture_shares(corpora: Sequence[Corpus], options: StreamOptions) -> tuple[int, ...] | None:
    """Give how often each corpus serves, in parts of ``TOTAL_SHARES``; None for a single one.

    Raises:
        ConfigError: there are not as many weights as corpora, or one is too small.
    """
    if options.weights is not None and len(options.weights) != len(corpora):
        raise ConfigError(
            f"{len(options.weights)} weights for {len(corpora)} corpora",
            value=list(options.weights),
            where="weights",
            fix="Give one for each corpus, or none.",
        )
    if len(corpora) == 1:
        return None
    recorded = [float(corpus.manifest.content.config.get(_WEIGHT, _USUAL_WEIGHT)) for corpus in corpora]
    return shares_of(options.weights or recorded)
