"""Many independent tasks: in processes on this machine, or on the nodes of a Ray cluster. The only file that knows either.

A task is a module's function and one item. What is wrong with the item it returns as an NcpifuError, and the others go on; what is wrong with the
machine (a full disk) it raises, and everything stops.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

from ncpifu_cli.config.engine import EngineSettings
from ncpifu_cli.errors import NcpifuError

Item = TypeVar("Item")
Result = TypeVar("Result")

# The tasks share the cores already; the libraries' own threads would only get in each other's way.
_LIBRARIES = ("OMP", "OPENBLAS", "MKL", "NUMBA", "IGL", "LIBIGL")
ONE_THREAD = {**{f"{library}_NUM_THREADS": "1" for library in _LIBRARIES}, "OPENCV_FOR_THREADS_NUM": "1"}
DIED = NcpifuError("its process died", "out of memory? run again with fewer --jobs: what is complete is kept")


def run_tasks(
    work: Callable[[Item], Result], items: Sequence[Item], settings: EngineSettings, isolate: bool = True
) -> Iterator[tuple[Item, Result | NcpifuError]]:
    """(item, result) in the order in which they end, each item once. An item whose process dies comes back with an NcpifuError.

    Args:
        work: importable where it runs. items: picklable; paths in them must mean the same there (on a cluster: a shared file system, absolute).
        isolate: False allows a single job to run in this process, which saves starting another.

    Raises what `work` raises, and NcpifuError where the engine cannot be had.
    """
    jobs = min(settings.jobs or available_cores(), len(items))
    if settings.engine == "ray" and items:
        yield from _on_cluster(work, items, settings)
    elif jobs == 1 and not isolate:
        yield from ((item, work(item)) for item in items)
    else:
        yield from _in_processes(work, items, jobs)


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_processes(work: Callable[[Item], Result], items: Sequence[Item], jobs: int) -> Iterator[tuple[Item, Result | NcpifuError]]:
    waiting = dict(enumerate(items))
    while waiting:
        for number, result in _pool(work, waiting, jobs):
            yield waiting.pop(number), result
        # A process that dies takes the pool along. It was busy with one of the first that are left: alone, each shows whether it was the one.
        for number in list(waiting)[:jobs]:
            alone = [result for _, result in _pool(work, {number: waiting[number]}, 1)]
            yield waiting.pop(number), alone[0] if alone else DIED


def _pool(work: Callable[[Item], Result], items: dict[int, Item], jobs: int) -> Iterator[tuple[int, Result]]:
    """(number, result) of what was done before the pool broke, or of everything. Fresh processes: OpenGL, Warp and torch do not survive a fork."""
    pool, ended = ProcessPoolExecutor(min(jobs, len(items)), mp_context=get_context("spawn"), initializer=_start_worker), False
    try:
        numbers = {pool.submit(work, item): number for number, item in list(items.items())}
        for future in as_completed(numbers):
            if not isinstance(future.exception(), BrokenProcessPool):
                yield numbers[future], future.result()
        ended = True
    except BrokenProcessPool:
        return  # broke while items were still being handed over
    finally:
        pool.shutdown(wait=ended, cancel_futures=True)  # whoever interrupts does not wait; without, Python at its end may find the pool's pipe closed


def _start_worker() -> None:
    os.environ.update(ONE_THREAD)  # before any of them is imported
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # Ctrl-C: the parent says it once; half an item is only a temporary folder
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _on_cluster(work: Callable[[Item], Result], items: Sequence[Item], settings: EngineSettings) -> Iterator[tuple[Item, Result | NcpifuError]]:
    with _cluster(settings.address) as ray:
        # Ray runs a task again on another node when its own one is lost.
        task = ray.remote(num_cpus=1, max_retries=3, runtime_env={"env_vars": ONE_THREAD})(work)
        waiting = {task.remote(item): item for item in items}
        while waiting:
            (ended,), _ = ray.wait(list(waiting), num_returns=1)
            item = waiting.pop(ended)
            try:
                yield item, ray.get(ended)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except ray.exceptions.RayError:
                yield item, DIED


@contextmanager
def _cluster(address: str | None) -> Iterator[Any]:
    try:
        import ray
    except ImportError as error:
        raise NcpifuError("--engine ray needs Ray", 'pip install -e ".[cluster]" in the clone, on every node') from error
    if ray.is_initialized():  # by whoever calls us from Python
        yield ray
        return
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False if address is None else None)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise NcpifuError(f"no Ray cluster at {address}: {reason}", "start it with `ray start --head`, and give HOST:6379 or auto") from error
    try:
        yield ray
    finally:
        ray.shutdown()
