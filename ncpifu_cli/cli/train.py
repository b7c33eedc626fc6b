"""`ncpifu train`."""

from pathlib import Path
from typing import Annotated

import typer

from ncpifu_cli.cli.console import handle_errors, print_json, print_line, reporter


@handle_errors
def train_cli(
    data: Annotated[Path | None, typer.Argument(help="Folder written by `ncpifu render`; without it data/renders, or the one of the run that goes on.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder of the run; without it data/runs/CONFIG.")] = None,
    config: Annotated[str, typer.Option(help="Profile (compact, paper, tiny) or a YAML file.")] = "compact",
    ablation: Annotated[str | None, typer.Option(help="A row of the ablation table (no_integration, no_gate, ...) or the baseline pifu.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Change a setting: key.sub=value. May be repeated.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the output folder, with its own settings (and --set); where there is none, start it.")
    ] = False,
    init_from: Annotated[str | None, typer.Option(help="Start a new run from weights (a file or a released name); what does not fit stays fresh.")] = None,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps, also the length of the learning-rate schedule (but see --limit-time).")] = None,
    overfit: Annotated[int | None, typer.Option(min=1, help="Train on the first N subjects alone, without augmentation, and watch the same.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Replace items that cannot be read and list them in skipped.json; else stop.")] = False,
    limit_time: Annotated[
        str | None,
        typer.Option(help="Stop cleanly after this long: 90s, 25m, 2h. With --set optim.schedule=time --max-steps 1000000 the rate decays until then."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train a network on rendered subjects. Ctrl-C finishes the step and saves; `torchrun --nproc-per-node N -m ncpifu_cli train ...` shares the work."""
    from ncpifu_cli.artifacts import default_root
    from ncpifu_cli.config.base import load
    from ncpifu_cli.config.train import TrainConfig
    from ncpifu_cli.stages.train import train
    from ncpifu_cli.stages.train_state import FILE_NAME

    folder = output or default_root() / "runs" / (Path(config).stem + (f"-{ablation}" if ablation else ""))
    own = folder / "config.json"
    goes_on = resume and own.exists()
    flags = {"steps": max_steps, "data.overfit": None if goes_on else overfit, "data.skip_bad": skip_bad or None}
    overrides = [*(set_ or []), *(f"{key}={str(value).lower()}" for key, value in flags.items() if value is not None)]
    settings = load(TrainConfig, own, overrides) if goes_on else load(TrainConfig, config, overrides, ablation=ablation)
    begun = resume and (folder / FILE_NAME).exists()  # else it was stopped before its first step, and only its settings are there
    ignored = {
        "--config": goes_on and config not in ("compact", settings.model.profile),
        "--ablation": goes_on and ablation is not None,
        "--overfit": goes_on and overfit is not None,
        "--init-from": begun and init_from is not None,
    }
    if any(ignored.values()):
        reporter(quiet).warn(f"{folder} holds a run, which goes on with its own settings: {', '.join(k for k, v in ignored.items() if v)} ignored")
    result = train(
        settings,
        data,
        folder,
        resume=resume,
        init_from=init_from,
        device=device,
        limit_seconds=_seconds(limit_time),
        reporter=reporter(quiet),
    )
    if json_ and result.main:
        print_json({"weights": str(result.weights), "steps": result.steps, "validation": result.metrics})
    elif result.main:
        print_line(str(result.weights))
    if result.signal_number is not None:
        raise typer.Exit(128 + result.signal_number)


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
