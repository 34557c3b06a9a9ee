"""Jobs from a pipe in, records into the pipe out: what runs in a worker process.

Errors that a user can mend travel to the parent. Whatever else goes wrong ends the process: the parent then finds out
whether a document is to blame.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from typing import Any

from wwmcorpus.corpus.tasks import AnyTask, Opens, Place
from wwmcorpus.errors import CorpusError, WwmcorpusError

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is asked to do.

    Attributes:
        task: The task.
        quarantine: Documents to leave out of it.
        suspects: None to do the task; else the documents of it to go through one by one, keeping nothing.
    """

    task: AnyTask
    quarantine: frozenset[Place]
    suspects: frozenset[Place] | None = None


def serve(pipe: Any, blueprint: Opens, memory_bytes: int | None, parent: int) -> None:
    """Answer jobs until None comes, or until the parent is gone."""
    _follow(parent)
    # A worker has the threads that its segmenter is told, and no more.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if memory_bytes is not None:
        _limit_memory(memory_bytes)
    try:
        runner = blueprint.open()
        # What was loaded stays, and a batch makes words by the hundred thousand that are no garbage yet.
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        pipe.send(("ready", None))
        while (job := pipe.recv()) is not None:
            if job.suspects is None:
                pipe.send(("done", runner.run(job.task, job.quarantine, lambda beat: pipe.send(("beat", beat)))))
            else:
                runner.question(job.task, job.suspects, lambda beat: pipe.send(("beat", beat)))
                pipe.send(("done", None))
    except WwmcorpusError as error:
        pipe.send(("error", error))
    except EOFError:
        return
    except MemoryError:
        pipe.send(("crash", "out of memory"))
        os._exit(1)
    except OSError as error:
        pipe.send(("error", _cannot_write(error)))
    except BaseException as error:  # panics of Rust are no Exception
        pipe.send(("crash", f"{type(error).__name__}: {error}"))
        sys.stderr.write(traceback.format_exc())
        os._exit(1)


def _cannot_write(error: OSError) -> CorpusError:
    return CorpusError(
        f"a worker cannot read or write: {error.strerror or error}",
        value=error.filename,
        fix="Is the disk full, or the folder read-only? Run the same command again: it goes on where it stopped.",
    )


def _follow(parent: int) -> None:
    """Die with the parent, and leave the signals that a terminal or a scheduler sends to its group to it."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _limit_memory(memory_bytes: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
