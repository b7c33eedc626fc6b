"""Terminal output: rich progress, one-line errors, exit codes."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import Reporter, Silent, Task

P = ParamSpec("P")
WIDE = 140  # characters; in a narrower terminal the numbers of a full-length bar would be cut off


class _RichTask:
    def __init__(self, progress: Any, handle: Any) -> None:
        self._progress, self._handle = progress, handle

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        fields = {"note": note} if note else {}
        self._progress.update(self._handle, advance=amount, **fields)


class RichReporter:
    """Messages and progress bars on standard error, so that standard output stays clean for `--json`."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._live: Any = None

    def info(self, message: str) -> None:
        self._console.print(message, markup=False)

    def warn(self, message: str) -> None:
        self._console.print(f"warning: {message}", style="yellow", markup=False)

    @contextmanager
    def task(self, description: str, total: float | None) -> Iterator[Task]:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.table import Column

        if self._live is not None:  # bars may nest: one live display holds them all
            handle = self._live.add_task(description, total=total, note="")
            try:
                yield _RichTask(self._live, handle)
            finally:
                self._live.remove_task(handle)
            return
        narrow = self._console.width < WIDE
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(8 if narrow else 40),
            MofNCompleteColumn(),
            *(() if narrow else (TimeElapsedColumn(),)),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),  # gives way to the others
        )
        with Progress(*columns, console=self._console, expand=True) as progress:
            self._live = progress
            try:
                yield _RichTask(progress, progress.add_task(description, total=total, note=""))
            finally:
                self._live = None


class QuietReporter(Silent):
    """Warnings alone: what a batch job's log must hold."""

    def warn(self, message: str) -> None:
        sys.stderr.write(f"warning: {message}\n")


def reporter(quiet: bool) -> Reporter:
    """The reporter a command passes to its stage; quiet leaves the warnings."""
    return QuietReporter() if quiet else RichReporter()


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def print_line(text: str) -> None:
    """One line on standard output: the command's result."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")  # a file's name may hold what is no character


def fail(error: NcpifuError) -> int:
    """Print the error's line and hint on standard error; return the exit code."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"error: {error.message}", style="bold red", markup=False)
    if error.hint:
        console.print(f"hint: {error.hint}", markup=False)
    return error.exit_code


def handle_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Decorator for command functions: NcpifuError and Ctrl-C become one line and an exit code, everything else stays a traceback (a bug)."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        import typer

        try:
            command(*args, **kwargs)
        except NcpifuError as error:
            raise typer.Exit(fail(error)) from None
        except KeyboardInterrupt:
            raise typer.Exit(fail(NcpifuError("interrupted", "nothing is left half-written: run the same command again", 130))) from None

    return wrapped
