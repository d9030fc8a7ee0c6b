"""Decoding in one process per core (section 4: scoring).

A small model leaves a second thread idle most of the time: its many operations are too small to divide. So the studies
are dealt to as many forked processes as there are threads; they share the model's memory. Exact: answers do not depend
on one another. On Linux and on a CPU only.

The processes answer by pipes of their own and not through a pool: those of `ProcessPoolExecutor` survive a killed
parent, and `multiprocessing.Pool` waits for ever for a killed child.
"""

import gc
import multiprocessing
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from chexreason.errors import UserError

#: What a process does with its part; it tells how many studies it has begun.
Work = Callable[[Any, Callable[[int], Any]], Any]
#: A process is given as many studies at least, and as many rows of a batch.
LEAST = 10


def processes(device: torch.device, studies: int, batch: int) -> int:
    """How many processes answer: one for each of torch's threads, if there is enough for each to do."""
    if device.type != "cpu" or sys.platform != "linux":
        return 1
    return max(1, min(torch.get_num_threads(), studies // LEAST, batch // LEAST))


def in_processes(work: Work, parts: Sequence[Any], tell: Callable[[int], Any]) -> list[Any]:
    """`work(part, tell)` for each part in a process of its own; the results in order.

    What `work` tells is told here, and what it raises is raised here, once the others are stopped. Raises UserError if
    the system has stopped a process.
    """
    results: dict[int, Any] = {}
    with _started(work, parts) as running:
        while len(results) < len(parts):
            heard = wait([pipe for number, (_, pipe) in enumerate(running) if number not in results])
            for number, (process, pipe) in enumerate(running):
                if pipe in heard:
                    kind, what = _received(process, pipe)
                    if kind == "raised":
                        raise what
                    if kind == "told":
                        tell(what)
                    else:
                        results[number] = what
    return [results[number] for number in range(len(parts))]


@contextmanager
def _started(work: Work, parts: Sequence[Any]) -> Iterator[list[tuple[Any, Connection]]]:
    """The processes, each with the pipe that it answers by; stopped at the end, whatever happens."""
    fork = multiprocessing.get_context("fork")
    running: list[tuple[Any, Connection]] = []
    gc.freeze()  # or a collection in a process would touch, and so copy, all that they share
    try:
        for part in parts:
            ours, theirs = fork.Pipe(duplex=False)
            process = fork.Process(
                target=_run, args=(work, part, theirs, [*(p for _, p in running), ours]), daemon=True
            )
            process.start()
            theirs.close()
            running.append((process, ours))
        yield running
    finally:
        for process, pipe in running:
            process.kill()
            process.join()
            pipe.close()
        gc.unfreeze()


def _run(work: Work, part: Any, answer: Connection, not_mine: Sequence[Connection]) -> None:
    """What a process does. `not_mine` are the parent's ends of pipes: held open here, they would hide its death."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops it
    for pipe in not_mine:
        pipe.close()
    torch.set_num_threads(1)
    try:
        answer.send(("done", work(part, lambda count: answer.send(("told", count)))))
    except BrokenPipeError:
        return  # nobody is listening any more
    except UserError as error:
        answer.send(("raised", error))
    # Any other is our own mistake. It would end with this process and be told on its standard error, which a notebook
    # does not show; and as an object it need not survive the way. So its traceback goes to the parent, whatever it is.
    except Exception:  # noqa: BLE001  (nothing is passed over: the parent raises it)
        answer.send(("raised", RuntimeError(f"in a process beside others:\n{traceback.format_exc()}")))


def _received(process: Any, pipe: Connection) -> tuple[str, Any]:
    try:
        message: tuple[str, Any] = pipe.recv()
    except EOFError:
        process.join()
        raise UserError(
            "each process to answer its studies", f"one that the system stopped (exit status {process.exitcode})",
            "if memory ran out, set decoding.batch_size lower or speed.multiprocess to false in the profile",
        ) from None  # fmt: skip
    return message
