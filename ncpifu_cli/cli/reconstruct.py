"""`ncpifu reconstruct`: parse, call the stage, say where the files are."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ncpifu_cli.cli.console import handle_errors, print_json, print_line, reporter
from ncpifu_cli.config.base import validate
from ncpifu_cli.config.reconstruct import MESH_FORMATS, ReconstructConfig
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import Reporter

if TYPE_CHECKING:
    from ncpifu_cli.stages.reconstruct_batch import Row
    from ncpifu_cli.stages.reconstruct_files import Written

MASK, MESH, FILES, MACHINE = "Finding the person", "The mesh", "Files", "Network and machine"


@handle_errors
def reconstruct_cli(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photos, folders of photos, or .txt lists of photos. A cut-out brings its mask.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Mesh file: .obj .ply .glb .stl .off, in metres, y up; or a folder. Default: out/<photo>.obj")
    ] = None,
    format_: Annotated[str | None, typer.Option("--format", metavar="EXT", help="Mesh format where -o names a folder.", rich_help_panel=FILES)] = None,
    preview: Annotated[bool, typer.Option("--preview/--no-preview", help="Write a preview picture (.png).", rich_help_panel=FILES)] = True,
    turntable: Annotated[str | None, typer.Option(metavar="mp4|gif|FILE", help="Write the turning person as a film.", rich_help_panel=FILES)] = None,
    html: Annotated[bool, typer.Option("--html", help="Write a page that shows the mesh in any browser, offline.", rich_help_panel=FILES)] = False,
    mask: Annotated[
        Path | None, typer.Option(help="Mask, white = person; with several photos a folder of <photo>.png (of one name: _2, _3).", rich_help_panel=MASK)
    ] = None,
    mask_only: Annotated[
        bool, typer.Option("--mask-only", help="Only write the mask (-o mask.png, or <mesh>_mask.png), to correct it by hand.", rich_help_panel=MASK)
    ] = False,
    save_mask: Annotated[Path | None, typer.Option(help="Write the mask to this PNG; with several photos a folder.", rich_help_panel=MASK)] = None,
    person: Annotated[str, typer.Option(metavar="largest|all|N", help="Which of several people; N counts from the left.", rich_help_panel=MASK)] = "largest",
    person_box: Annotated[str | None, typer.Option(metavar="X,Y,W,H", help="Box around the person in photo pixels.", rich_help_panel=MASK)] = None,
    allow_rough_mask: Annotated[bool, typer.Option("--allow-rough-mask", help="Go on with a mask that is only a guess.", rich_help_panel=MASK)] = False,
    mask_model: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="auto, none, a rembg model (downloaded if need be) or an .onnx file.", rich_help_panel=MASK)
    ] = "auto",
    resolution: Annotated[int, typer.Option(min=16, max=1024, help="Cells of the grid per axis.", rich_help_panel=MESH)] = 256,
    height: Annotated[float, typer.Option(metavar="METRES", help="Height of the person as posed, such as 1.72.", rich_help_panel=MESH)] = 1.80,
    ground: Annotated[bool, typer.Option("--ground/--centre", help="Feet at y = 0, or the middle of the height.", rich_help_panel=MESH)] = True,
    detail: Annotated[
        bool, typer.Option("--detail/--no-detail", help="Relief from normals seen in the photo, on finer triangles in front.", rich_help_panel=MESH)
    ] = True,
    keep_perspective: Annotated[bool, typer.Option("--keep-perspective", help="Leave a near camera's perspective in the mesh.", rich_help_panel=MESH)] = False,
    faces: Annotated[int | None, typer.Option(min=100, help="Decimate to at most so many triangles.", rich_help_panel=MESH)] = None,
    smooth: Annotated[int, typer.Option(min=0, max=100, help="Rounds of smoothing that keeps the volume.", rich_help_panel=MESH)] = 0,
    texture: Annotated[
        bool, typer.Option("--texture", help="Image texture in place of vertex colours (.glb, .obj), on 20 000 triangles unless --faces.", rich_help_panel=MESH)
    ] = False,
    confidence: Annotated[bool, typer.Option("--confidence", help="Also show how sure the network is.", rich_help_panel=MESH)] = False,
    weights: Annotated[str | None, typer.Option(metavar="FILE|NAME", help="Default: $NCPIFU_WEIGHTS, else compact.", rich_help_panel=MACHINE)] = None,
    profile: Annotated[str | None, typer.Option(help="Refuse weights of any other profile.", rich_help_panel=MACHINE)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.", rich_help_panel=MACHINE)] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the result's path, warnings and errors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Turn photos of people into clothed 3D meshes, each with a JSON sidecar and a preview picture beside it."""
    values: dict[str, Any] = {
        "resolution": resolution,
        "height_m": height,
        "ground": ground,
        "detail": detail,
        "keep_perspective": keep_perspective,
        "faces": faces,
        "smooth": smooth,
        "mask": None if mask is None else str(mask),
        "mask_only": mask_only,
        "save_mask": None if save_mask is None else str(save_mask),
        "person": int(person) if person.isdecimal() else person,
        "person_box": None if person_box is None else parse_box(person_box),
        "allow_rough_mask": allow_rough_mask,
        "mask_model": mask_model,
        "preview": preview,
        "turntable": turntable,
        "html": html,
        "texture": texture,
        "confidence": confidence,
    }
    config = validate(ReconstructConfig, values, "reconstruct", options={"height_m": "--height"})
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a batch system's stop cleans up as Ctrl-C does
    from ncpifu_cli.stages.reconstruct_batch import collect_photos
    from ncpifu_cli.stages.reconstruct_files import model_loader, reconstruct_to_files

    suffix = parse_format(format_, output)
    load = model_loader(weights, device, profile)
    if len(photos) == 1 and not os.path.isdir(photos[0]) and photos[0].suffix.lower() != ".txt":
        started = time.perf_counter()
        target = output if output is not None and not is_folder(output) else (output or Path("out")) / f"{photos[0].stem}{suffix}"
        people = reconstruct_to_files(photos[0], target, config, load, reporter(quiet))
        _tell(people, time.perf_counter() - started, quiet, as_json)
        return
    found = collect_photos(photos)
    if output is not None and not is_folder(output):
        raise NcpifuError(f"several photos cannot become one file {output}", "give a folder: -o out/ --format glb")
    rows = _batch(found, output or Path("out"), suffix, config, load, reporter(quiet), quiet or as_json)
    if as_json:
        print_json([{"photo": str(row.photo), **_outcome(row)} for row in rows])
    else:
        for row in rows:
            for one in row.people:
                print_line(str(one.main))
    failed = sum(row.error is not None for row in rows)
    if failed:
        where = "the warnings above say why" if quiet else "each one's error is in the JSON" if as_json else "the table above says why"
        raise NcpifuError(f"{failed} of {len(rows)} photos failed", where)


def _batch(photos: list[Path], folder: Path, suffix: str, config: ReconstructConfig, load: Any, report: Reporter, silent: bool) -> "list[Row]":
    """Run the batch; the table ends it, also when it is interrupted."""
    from ncpifu_cli.stages.reconstruct_batch import reconstruct_batch

    rows: list[Row] = []
    try:
        reconstruct_batch(photos, folder, suffix, config, load, report, rows)
    finally:
        if rows and not silent:
            _print_table(rows, len(photos), folder)
    return rows


def _print_table(rows: "list[Row]", total: int, folder: Path) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(f"{sum(row.error is None for row in rows)} of {total} photos into {folder}"))
    for name in ("photo", "mask", "warnings", "vertices", "s", "result"):
        table.add_column(name, justify="right" if name in ("warnings", "vertices", "s") else "left", overflow="fold")
    for row in rows:
        seconds, photo = f"{row.seconds:.1f}", escape(row.photo.name)
        if row.error is not None:
            table.add_row(photo, "", "", "", seconds, escape(f"failed: {row.error.message}"), style="red")
        for one in row.people:
            count = "" if one.sidecar is None else str(one.sidecar["mesh"]["vertices"])
            warnings = len(one.warnings)
            table.add_row(photo, escape(one.mask["source"]), str(warnings or ""), count, seconds, escape(one.main.name), style="yellow" if warnings else None)
    Console(stderr=True, highlight=False).print(table)


def _tell(people: "list[Written]", seconds: float, quiet: bool, as_json: bool) -> None:
    """What became of one photo: numbers on standard error, paths or JSON on standard output."""
    if as_json:
        documents = [_document(one) for one in people]
        print_json({**(documents[0] if len(documents) == 1 else {"people": documents}), "seconds": round(seconds, 2)})
        return
    steps_s = 0.0
    for one in people:
        if one.sidecar is not None and not quiet:
            timings = one.sidecar["timings_s"]
            steps_s += (own := sum(timings.values()))
            steps = ", ".join(f"{name} {value:.1f}" for name, value in timings.items())
            mesh = one.sidecar["mesh"]
            sys.stderr.write(f"{mesh['vertices']} vertices, {mesh['faces']} faces, mask from {one.mask['source']}; {own:.1f} s ({steps})\n")
            for kind, path in vars(one.outputs).items():
                if path is not None and path != one.main:
                    sys.stderr.write(f"{kind}: {path}\n")
        print_line(str(one.main))
    if steps_s and not quiet:
        sys.stderr.write(f"{seconds:.1f} s in all; start, weights and files {seconds - steps_s:.1f}\n")


def _outcome(row: "Row") -> dict[str, Any]:
    if row.error is not None:
        return {"error": row.error.message, "hint": row.error.hint}
    return {"seconds": round(row.seconds, 2), "people": [_document(one) for one in row.people]}


def _document(one: "Written") -> dict[str, Any]:
    files = {name: None if path is None else str(path) for name, path in vars(one.outputs).items()}
    if one.sidecar is None:
        return {"files": {"mask": files["mask"]}, "mask": one.mask}
    return {"files": files, **one.sidecar}


def is_folder(output: Path) -> bool:
    """Whether -o names a folder: it is one, or it has no extension (and is not just one, as `.obj` is)."""
    return (os.path.isdir(output) and output.suffix.lower() not in MESH_FORMATS) or (output.suffix == "" and output.name.lower() not in MESH_FORMATS)


def parse_format(text: str | None, output: Path | None) -> str:
    """ "glb" or ".glb" -> ".glb", ".obj" by default; NcpifuError for anything else and where -o already says another one."""
    suffix = f".{(text or 'obj').lower().lstrip('.')}"
    if suffix not in MESH_FORMATS:
        raise NcpifuError(f"unknown mesh format {text!r}", f"use one of: {', '.join(name[1:] for name in MESH_FORMATS)}")
    if text is not None and output is not None and not is_folder(output) and output.suffix.lower() != suffix:
        raise NcpifuError(f"--format {text} does not fit the name {output}", "leave one of the two out")
    return suffix


def parse_box(text: str) -> tuple[int, int, int, int]:
    """ "x,y,width,height" -> four integers; NcpifuError for anything else."""
    try:
        x, y, width, height = (round(float(part)) for part in text.split(","))
    except (ValueError, OverflowError) as error:
        raise NcpifuError(f"cannot read the person box {text!r}", "write x,y,width,height in photo pixels, for example 120,40,300,900") from error
    return x, y, width, height
