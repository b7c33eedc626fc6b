"""What the engine's tests have run in other processes."""

import os

from ncpifu_cli.errors import NcpifuError


def square(number: int) -> int | NcpifuError:
    """number ** 2; a negative one is a bad item, 13 kills its process, 99 finds the disk full."""
    if number == 13:
        os._exit(1)
    if number == 99:
        raise NcpifuError("the disk is full", "make room")
    return NcpifuError(f"{number} is negative") if number < 0 else number**2


def process(_: int) -> int:
    """Which process runs it."""
    return os.getpid()
