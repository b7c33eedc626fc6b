"""Starting NVIDIA Warp without its banner, and without its warning on machines that have no GPU."""

import functools
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@functools.cache
def start_warp() -> None:
    """Initialise Warp once per process. Must come before anything else that initialises it (anny does when imported)."""
    import warp

    warp.config.log_level = warp.LOG_ERROR
    with _native_stderr_silenced():  # the missing CUDA driver is reported by native code, whatever the log level
        warp.init()


@contextmanager
def _native_stderr_silenced() -> Iterator[None]:
    """Send file descriptor 2 to nowhere for the length of the block; Python errors still reach the user afterwards."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
