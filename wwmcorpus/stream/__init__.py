"""Corpora in, masked batches out, in an order that is a pure function of seed, epoch and position."""

from wwmcorpus.stream.order import shuffled, shuffled_in_windows
from wwmcorpus.stream.settings import StreamOptions
from wwmcorpus.stream.stream import Stream

__all__ = ["Stream", "StreamOptions", "shuffled", "shuffled_in_windows"]
