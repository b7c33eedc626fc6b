"""How stages tell what they do, without printing: the caller passes a `Reporter`, the command line passes a rich one; and what a step took."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One progress bar."""

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        """Move on by `amount` of the task's total; `note` replaces the short text beside the bar."""


class Reporter(Protocol):
    """Where a stage's messages go."""

    def info(self, message: str) -> None:
        """Something worth a line."""

    def warn(self, message: str) -> None:
        """Something the user should know, though the work goes on."""

    def task(self, description: str, total: float | None) -> AbstractContextManager[Task]:
        """A progress bar for the length of a `with` block; total None where it is not known."""


class _SilentTask:
    def advance(self, amount: float = 1.0, note: str = "") -> None:
        pass


class Silent:
    """Says nothing; what Python callers get unless they ask for more."""

    def info(self, message: str) -> None:
        pass

    def warn(self, message: str) -> None:
        pass

    @contextmanager
    def task(self, description: str, total: float | None) -> Iterator[Task]:
        yield _SilentTask()


SILENT: Reporter = Silent()


def counted(number: int, noun: str) -> str:
    """ "1 subject", "2 subjects"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


class Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self._last = round(now - self._last, 3), now
