"""`ncpifu train`."""

from pathlib import Path
from typing import Annotated

import typer

from ncpifu_cli.cli.console import handle_errors, print_json, print_line, reporter


@handle_errors
def train_cli(
    data: Annotated[Path | None, typer.Argument(help="Folder written by `ncpifu render` [default: data/renders].")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder of the run [default: data/runs/CONFIG].")] = None,
    config: Annotated[str, typer.Option(help="Profile (compact, paper, tiny) or a YAML file.")] = "compact",
    ablation: Annotated[str | None, typer.Option(help="A row of the ablation table (no_integration, no_gate, ...) or the baseline pifu.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Change a setting: key.sub=value. May be repeated.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the output folder.")] = False,
    init_from: Annotated[str | None, typer.Option(help="Start a new run from weights (a file or a released name); what does not fit stays fresh.")] = None,
    max_steps: Annotated[int | None, typer.Option(help="Optimiser steps, also the length of the learning-rate schedule.")] = None,
    limit_time: Annotated[str | None, typer.Option(help="Stop cleanly after this long: 90s, 25m, 2h.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train a network on rendered subjects."""
    from ncpifu_cli.artifacts import default_root
    from ncpifu_cli.config.base import load
    from ncpifu_cli.config.train import TrainConfig
    from ncpifu_cli.stages.train import train

    overrides = [*(set_ or []), *([f"steps={max_steps}"] if max_steps is not None else [])]
    settings = load(TrainConfig, config, overrides, ablation=ablation)
    name = Path(config).stem + (f"-{ablation}" if ablation else "")
    result = train(
        settings,
        data or default_root() / "renders",
        output or default_root() / "runs" / name,
        resume=resume,
        init_from=init_from,
        device=device,
        limit_seconds=_seconds(limit_time),
        reporter=reporter(quiet),
    )
    if json_:
        print_json({"weights": str(result.weights), "steps": result.steps, "validation": result.metrics})
    else:
        print_line(str(result.weights))


def _seconds(text: str | None) -> float | None:
    from ncpifu_cli.errors import NcpifuError

    if text is None:
        return None
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        value = float(number) * units[unit]
    except ValueError:
        raise NcpifuError(f"cannot read the time {text!r}", "write it as 90s, 25m or 2h") from None
    if not value > 0:
        raise NcpifuError(f"the time limit must be positive, not {text!r}", "write it as 90s, 25m or 2h")
    return value
