"""Batches made before they are asked for: by a thread of this process, or by workers through torch's DataLoader.

Every batch is a function of its epoch and number, so both are a look ahead along a list of numbers and have no state
that a resumed run would need.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from wwmcorpus.stream.batches import Batch, BatchMaker, packed, unpacked

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
#: Epoch and number of a batch.
Place = tuple[int, int]


def in_thread(make: Callable[[Place], T], places: Iterable[Place], num_ahead: int) -> Generator[T, None, None]:
    """Give ``make`` of each place in order, made up to ``num_ahead`` places early by one thread.

    The thread ends with the iterator: at its end, on an error, or when it is closed.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="wwmcorpus-stream")
    waiting: deque[Future[T]] = deque()
    ahead = iter(places)
    try:
        waiting.extend(pool.submit(make, place) for place in islice(ahead, num_ahead))
        while waiting:
            made = waiting.popleft().result()
            waiting.extend(pool.submit(make, place) for place in islice(ahead, 1))
            yield made
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class Workers:
    """Processes that read and mask; this one unpacks what they send.

    They live until this object goes, and serve one iterator at a time.

    Args:
        maker: Makes the batches; a copy goes to each worker.
        num_workers: At least 1.
        num_together: Batches that a worker sends at once.
    """

    def __init__(self, maker: BatchMaker, num_workers: int, num_together: int) -> None:
        from torch.utils.data import DataLoader

        self._maker, self._calls = maker, _Calls(num_together)
        self._loader: Any = DataLoader(
            _Together(maker),  # type: ignore[arg-type]
            batch_size=None,
            sampler=self._calls,
            num_workers=num_workers,
            persistent_workers=True,
        )

    def run(self, places: Iterable[Place]) -> Generator[Batch, None, None]:
        """Give the batch of each place in order."""
        self._calls.places = iter(places)
        for block in self._loader:
            for flat in unpacked(block.numpy().tobytes()):
                yield self._maker.shaped(flat)


class _Together:
    """What a worker has: several places in, their batches as one tensor of bytes out."""

    def __init__(self, maker: BatchMaker) -> None:
        self._maker = maker

    def __getitem__(self, places: Sequence[Place]) -> torch.Tensor:
        import torch

        return torch.frombuffer(bytearray(packed([self._maker.flat(*place) for place in places])), dtype=torch.uint8)


class _Calls:
    """A sampler: several places at a time. It knows nothing of what reads it, lest workers wait for a cycle to go."""

    def __init__(self, num_together: int) -> None:
        self.places: Iterator[Place] = iter(())
        self._num_together = num_together

    def __iter__(self) -> Iterator[list[Place]]:
        while places := list(islice(self.places, self._num_together)):
            yield places
