"""`ncpifu doctor`: what works here, and what to install for the rest."""

from dataclasses import asdict
from typing import Annotated

import typer

from ncpifu_cli.cli.console import handle_errors, print_json, print_line, reporter

MARKS = {"ok": "ok     ", "missing": "absent ", "broken": "BROKEN "}


@handle_errors
def doctor_cli(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the last line, what is broken, or that nothing is.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Look at this machine: device, OpenGL, weights, mask model, extras; say what to install for what is missing.

    Exit code 0 unless something that `ncpifu reconstruct` cannot do without is broken.
    """
    from ncpifu_cli.stages.doctor import examine

    checks = examine(reporter(quiet or as_json))
    broken = [check for check in checks if check.state == "broken"]
    if as_json:
        print_json({"ok": not broken, "checks": [asdict(check) for check in checks]})
    else:
        width = max(len(check.name) for check in checks)
        for check in broken if quiet else checks:
            print_line(f"{MARKS[check.state]}  {check.name:<{width}}  {check.detail}")
            if check.hint:
                print_line(f"{'':{width + 11}}-> {check.hint}")
        print_line("everything that `ncpifu reconstruct` needs is here" if not broken else f"broken: {', '.join(check.name for check in broken)}")
    if broken:
        raise typer.Exit(1)
