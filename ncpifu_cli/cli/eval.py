"""`ncpifu eval`: score reconstructions against true scans."""

from pathlib import Path
from typing import Annotated

import typer

from ncpifu_cli.cli.console import handle_errors, print_json, print_line, reporter
from ncpifu_cli.config.base import validate
from ncpifu_cli.config.eval import EvalConfig
from ncpifu_cli.errors import NcpifuError


@handle_errors
def eval_cli(
    runs: Annotated[list[Path] | None, typer.Argument(help="With --table: folders of finished reports. Default: all below eval/ of the data root.")] = None,
    table: Annotated[int | None, typer.Option(min=1, max=2, help="Write the paper's table 1 or 2 from finished reports and stop.")] = None,
    dataset: Annotated[str, typer.Option(help="synthetic (our own held-out humans), thuman2, buff, customhumans, renderpeople, or folder.")] = "synthetic",
    data: Annotated[Path | None, typer.Option(help="Folder of the scans. Default: the dataset's place under the data root.")] = None,
    split: Annotated[str | None, typer.Option(help="List of subject names: a file, a shipped list such as thuman2_test, or 'all'.")] = None,
    up: Annotated[str, typer.Option(help="Up axis of the raw scans: auto, x, y, z, -x, -y, -z.")] = "auto",
    weights: Annotated[list[str] | None, typer.Option(help="FILE or NAME=FILE; repeat to compare. Default: the released weights.")] = None,
    predictions: Annotated[
        list[str] | None, typer.Option(help="NAME=FOLDER of meshes another system wrote, or NAME=FOLDER/PATTERN with {subject} and {yaw}; repeatable.")
    ] = None,
    units: Annotated[list[str] | None, typer.Option(help="Unit of --predictions: m, cm, mm, ndc, scan, or metres per unit; NAME=UNIT for one.")] = None,
    align: Annotated[str | None, typer.Option(help="Lay every prediction on the truth first: none, similarity, icp. Default: as the protocol does.")] = None,
    protocol: Annotated[str, typer.Option(help="Whose Chamfer, P2S and Normal: paper, pifuhd, icon, econ, sith; all: the same meshes by each.")] = "paper",
    views: Annotated[str, typer.Option(help="Input views: yaw in degrees, comma-separated.")] = "0",
    resolution: Annotated[int, typer.Option(help="Cells per axis of the reconstructions.")] = 256,
    detail: Annotated[bool, typer.Option("--detail", help="Also each network with the detail that `reconstruct` adds: <name>+detail.")] = False,
    limit: Annotated[int | None, typer.Option(help="Only the first N subjects.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Processes that score side by side; 0 = one per core.")] = 1,
    engine: Annotated[str, typer.Option(help="What scores: processes of this machine, or ray: the nodes of a Ray cluster.")] = "processes",
    address: Annotated[str | None, typer.Option(help="The Ray cluster: HOST:6379, or auto. Default: Ray on this machine.")] = None,
    seed: Annotated[int, typer.Option(help="Fixes light, sampled points and intervals.")] = 0,
    device: Annotated[str, typer.Option(help="Where the networks run: auto, cpu, cuda.")] = "auto",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the report. Default: eval/<name> under the data root.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Reconstruct held-out subjects and measure how far the meshes are from the truth.

    Predictions are kept in the report's folder and not made again; the same command goes on where it stopped.
    """
    if table is not None:
        from ncpifu_cli.stages.report_table import write_table

        print_line(f"table: {write_table(1 if table == 1 else 2, runs or [], output)}")
        return
    if runs:
        raise NcpifuError(f"{runs[0]}: folders of reports go with --table 1 or --table 2", "the scans are named with --data, meshes with --predictions")
    values = {
        "dataset": dataset,
        "data": str(data) if data else None,
        "split": split,
        "up": up,
        "weights": tuple(weights or ()),
        "predictions": tuple(predictions or ()),
        "units": tuple(units or ("m",)),
        "align": align,
        "protocol": protocol,
        "views": _yaws(views),
        "resolution": resolution,
        "detail": detail,
        "limit": limit,
        "jobs": jobs,
        "engine": engine,
        "address": address,
        "seed": seed,
        "device": device,
        "output": str(output) if output else None,
    }
    config = validate(EvalConfig, values, "eval")
    from ncpifu_cli.stages.eval import evaluate

    report = evaluate(config, reporter(quiet))
    if as_json:
        print_json(report.document())
        return
    for line in report.lines():
        print_line(line)


def _yaws(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise NcpifuError(f"cannot read the views {text!r}", "give yaw angles in degrees, for example --views 0,90,180,270") from error
