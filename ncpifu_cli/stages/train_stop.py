"""When to stop: Ctrl-C, SIGTERM or the time limit end a run after the step that is under way, with everything saved."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Attributes: signal_number of the first signal that came in, None before; limit_s of the time limit, None without one."""

    def __init__(self, limit_s: float | None = None) -> None:
        self.signal_number: int | None = None
        self.limit_s = limit_s
        self._begun = time.monotonic()

    @property
    def requested(self) -> bool:
        """Whether it is time to stop."""
        return self.signal_number is not None or self.time_share >= 1

    @property
    def time_share(self) -> float:
        """How much of the time limit is over, 0 to 1; 0 without one."""
        if self.limit_s is None:
            return 0.0
        over = time.monotonic() - self._begun
        return over / self.limit_s if over < self.limit_s else 1.0

    @property
    def reason(self) -> str:
        """Why, for a message."""
        if self.signal_number is not None:
            return signal.Signals(self.signal_number).name
        return f"the time limit of {self.limit_s:g} s" if self.requested else "another process was asked to"

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Note the request; a second Ctrl-C does not wait for the step."""
        if self.signal_number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal_number = number


@contextmanager
def stop_requests(limit_s: float | None = None) -> Iterator[StopRequest]:
    """Listen to SIGINT and SIGTERM for the length of a `with` block, also where a background process was started deaf to SIGINT."""
    stop = StopRequest(limit_s)
    if threading.current_thread() is not threading.main_thread():  # Python delivers signals to the main thread only
        yield stop
        return
    before = {number: signal.signal(number, stop.on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
