"""Batches made before they are asked for: by a thread of this process, or by workers through torch's DataLoader.

Every batch is a function of its epoch and number, so both are a look ahead along a list of numbers and have no state
that a resumed run would need.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from wwmcorpus.errors import ConfigError, WwmcorpusError
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

    They live until this object goes, and serve one iterator at a time: the newest.

    Args:
        maker: Makes the batches; a copy goes to each worker.
        num_workers: At least 1.
        num_together: Batches that a worker sends at once.
    """

    def __init__(self, maker: BatchMaker, num_workers: int, num_together: int) -> None:
        self._maker, self._calls, self._num_workers = maker, _Calls(num_together), num_workers
        self._loader = self._new_loader()
        self._turn = 0

    def run(self, places: Iterable[Place]) -> Generator[Batch, None, None]:
        """Give the batch of each place in order.

        Raises:
            ConfigError: another iterator began since.
            WwmcorpusError: a worker's error, as it was raised there.
        """
        self._turn += 1
        turn = self._turn
        self._calls.places = iter(places)
        for block in self._blocks():
            if isinstance(block, WwmcorpusError):
                try:
                    raise block
                finally:
                    del block  # else the error and this frame would hold each other, and the workers with them
            for flat in unpacked(block.numpy().tobytes()):
                yield self._maker.shaped(flat)
                if turn != self._turn:
                    raise ConfigError(
                        "a stream with workers is read by one loop at a time, and another loop has begun",
                        value=self._num_workers,
                        where="num_workers",
                        fix="Make a stream for each loop, or set num_workers to 0.",
                    )

    def _blocks(self) -> Iterator[torch.Tensor | WwmcorpusError]:
        with contextlib.suppress(RuntimeError):
            return iter(self._loader)
        self._loader = self._new_loader()  # a worker was killed: the old loader would fail for ever
        return iter(self._loader)

    def _new_loader(self) -> Any:
        import torch
        from torch.utils.data import DataLoader

        return DataLoader(
            _Together(self._maker),  # type: ignore[arg-type]
            batch_size=None,
            sampler=self._calls,
            num_workers=self._num_workers,
            persistent_workers=True,
            generator=torch.Generator(),  # without one, each loop would draw from torch's global generator
        )


class _Together:
    """What a worker has: several places in, their batches as one tensor of bytes out.

    An error of ours is given back and not raised: torch would keep of it a text alone.
    """

    def __init__(self, maker: BatchMaker) -> None:
        self._maker = maker

    def __getitem__(self, places: Sequence[Place]) -> torch.Tensor | WwmcorpusError:
        import torch

        try:
            block = packed([self._maker.flat(*place) for place in places])
        except WwmcorpusError as error:
            return error
        return torch.frombuffer(bytearray(block), dtype=torch.uint8)


class _Calls:
    """A sampler: several places at a time. It knows nothing of what reads it, lest workers wait for a cycle to go."""

    def __init__(self, num_together: int) -> None:
        self.places: Iterator[Place] = iter(())
        self._num_together = num_together

    def __iter__(self) -> Iterator[list[Place]]:
        while places := list(islice(self.places, self._num_together)):
            yield places
