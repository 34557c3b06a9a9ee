"""Documents in, sharded Arrow corpora out; and corpora on disk back as rows."""

from wwmcorpus.corpus.build import Progress, build
from wwmcorpus.corpus.manifest import Manifest
from wwmcorpus.corpus.reader import Corpus, open_corpus
from wwmcorpus.corpus.settings import BuildConfig

__all__ = ["BuildConfig", "Corpus", "Manifest", "Progress", "build", "open_corpus"]
