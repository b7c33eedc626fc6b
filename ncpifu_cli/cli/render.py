"""`ncpifu render`: scans into pictures, masks and labelled points."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ncpifu_cli.artifacts import default_root
from ncpifu_cli.cli.console import handle_errors, print_json, print_line, reporter
from ncpifu_cli.config.base import validate
from ncpifu_cli.config.render import RenderSettings
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import counted

PARTLY_FAILED = 3  # exit code: some scans were left out, all others are complete
_DEFAULT = RenderSettings()
_OPTIONS = {"yaw_step_deg": "--yaw-step", "pitch_deg": "--pitch", "size_px": "--size", "near_points": "--points", "prt_directions": "--directions"}


@handle_errors
def render_cli(
    scans: Annotated[Path | None, typer.Argument(help="Data set as downloaded, folder of meshes, or one mesh. Default: scans/ under the data root.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the renders. Default: renders/ under the data root.")] = None,
    dataset: Annotated[str, typer.Option(help="auto, synthetic, thuman2, buff, renderpeople, customhumans or folder.")] = _DEFAULT.dataset,
    split: Annotated[str | None, typer.Option(help="Only these subjects: a text file of names, thuman2_train, or thuman2_test. Default: all.")] = None,
    yaw_step: Annotated[int, typer.Option(help="Degrees between views around the subject.")] = _DEFAULT.yaw_step_deg,
    pitch: Annotated[str, typer.Option(help="Camera pitches in degrees, comma-separated.")] = "0",
    size: Annotated[int, typer.Option(help="Side of the pictures in pixels.")] = _DEFAULT.size_px,
    light: Annotated[str, typer.Option(help="prt (shadows), sh (no shadows) or flat (albedo).")] = _DEFAULT.light,
    lights_per_view: Annotated[int, typer.Option(help="Pictures per view, each with its own light.")] = _DEFAULT.lights_per_view,
    renderer: Annotated[str, typer.Option(help="pyrender (OpenGL), raster (needs no GL), or auto: pyrender where it works.")] = _DEFAULT.renderer,
    points: Annotated[int, typer.Option(help="Labelled points near the surface of each subject.")] = _DEFAULT.near_points,
    directions: Annotated[int, typer.Option(help="Light directions tried by the shadow bake.")] = _DEFAULT.prt_directions,
    maps: Annotated[str, typer.Option(help="Also store full-size maps of each view: depth, normal, or both, comma-separated.")] = "",
    layout: Annotated[str, typer.Option(help="ncpifu, or pifu: also PIFu's RENDER, MASK, PARAM and GEO folders.")] = _DEFAULT.layout,
    up: Annotated[str, typer.Option(help="Up axis of the raw scans: auto, y, z, -y, ...")] = _DEFAULT.up,
    units: Annotated[str, typer.Option(help="Unit of the raw scans: auto, m, cm, mm. Only reported: every subject becomes 1.80 m tall.")] = _DEFAULT.units,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Processes; 0 = one per core.")] = _DEFAULT.jobs,
    engine: Annotated[str, typer.Option(help="processes of this machine, or ray: the nodes of a Ray cluster.")] = _DEFAULT.engine,
    address: Annotated[str | None, typer.Option(help="The Ray cluster: HOST:6379, or auto. Default: Ray on this machine.")] = None,
    seed: Annotated[int, typer.Option(help="Fixes lights and points.")] = _DEFAULT.seed,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Draw subjects anew that are there with other settings.")] = _DEFAULT.overwrite,
    sheet: Annotated[Path | None, typer.Option(help="Also write a contact sheet of the subjects to this PNG or JPEG.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Render every scan from all around, with light, masks and inside/outside points: what `train` learns from.

    Complete subjects are skipped, so the same command goes on where it stopped; those drawn with other settings are only replaced with
    --overwrite. A scan that cannot be used is named and left out (exit code 3).
    """
    values: dict[str, Any] = {
        "dataset": dataset,
        "split": split,
        "yaw_step_deg": yaw_step,
        "pitch_deg": _degrees(pitch),
        "size_px": size,
        "light": light,
        "lights_per_view": lights_per_view,
        "renderer": renderer,
        "near_points": points,
        "prt_directions": directions,
        "maps": tuple(part.strip() for part in maps.split(",") if part.strip()),
        "layout": layout,
        "up": up,
        "units": units,
        "jobs": jobs,
        "engine": engine,
        "address": address,
        "seed": seed,
        "overwrite": overwrite,
    }
    settings = validate(RenderSettings, values, "render", _OPTIONS)
    from ncpifu_cli.stages.contact_sheet import check_sheet_path, write_contact_sheet
    from ncpifu_cli.stages.render import render

    source = scans if scans is not None else default_root() / "scans"
    target = output if output is not None else default_root() / "renders"
    if sheet is not None:
        check_sheet_path(sheet)
    report = render(source, target, settings, reporter(quiet))
    if sheet is not None and (report.done or report.skipped):
        write_contact_sheet(target, sheet, sorted([*report.done, *report.skipped]))
    if as_json:
        print_json({**vars(report), "out": str(report.out), "seconds": round(report.seconds, 2), "sheet": str(sheet) if sheet else None})
    else:
        print_line(
            f"{target}: {counted(len(report.done), 'subject')} rendered ({report.views} views, {report.seconds:.0f} s), {len(report.skipped)} already there"
        )
    if report.failed:
        total = len(report.failed) + len(report.done) + len(report.skipped)
        names = ", ".join(sorted(report.failed)[:3]) + (", ..." if len(report.failed) > 3 else "")
        raise NcpifuError(f"{len(report.failed)} of {total} scans were left out: {names}", "the reasons are above, and in --json", PARTLY_FAILED)


def _degrees(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise NcpifuError(f"cannot read the pitches {text!r}", "give angles in degrees, for example --pitch 0 or --pitch=-10,0,10") from error
