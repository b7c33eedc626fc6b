"""The one exception users see."""


class NcpifuError(Exception):
    """Something the user can act on.

    Args:
        message: one line that says what is wrong, naming the file, option or item.
        hint: one line that says how to go on; may be empty.
        exit_code: the process's exit status when the command line ends with this error (never 0).
    """

    def __init__(self, message: str, hint: str = "", exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[type["NcpifuError"], tuple[str, str, int]]:
        # Worker processes send their errors to the parent by pickling; keep the hint on the way.
        return type(self), (self.message, self.hint, self.exit_code)
