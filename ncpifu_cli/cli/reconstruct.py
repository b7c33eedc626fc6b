"""`ncpifu reconstruct`: parse, call the stage, say where the files are."""

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from ncpifu_cli.cli.console import handle_errors, print_json, print_line, reporter
from ncpifu_cli.config.base import validate
from ncpifu_cli.config.reconstruct import ReconstructConfig
from ncpifu_cli.errors import NcpifuError


@handle_errors
def reconstruct_cli(
    photo: Annotated[Path, typer.Argument(help="Photo of one person: JPEG, PNG, WebP, TIFF, ... A cut-out PNG brings its own mask.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Mesh file: .obj .ply .glb .stl .off. Default: out/<photo>.obj")] = None,
    mask: Annotated[Path | None, typer.Option(help="Mask file, white = person; the photo's size or aspect ratio.")] = None,
    person_box: Annotated[str | None, typer.Option(metavar="X,Y,W,H", help="Box around the person in photo pixels; helps where the mask fails.")] = None,
    weights: Annotated[str | None, typer.Option(metavar="FILE|NAME", help="Weights file or released name. Default: $NCPIFU_WEIGHTS, else compact.")] = None,
    profile: Annotated[str | None, typer.Option(help="Refuse weights of any other profile (compact, paper).")] = None,
    resolution: Annotated[int, typer.Option(min=16, max=1024, help="Cells of the grid per axis.")] = 256,
    height: Annotated[float, typer.Option(help="Height of the person as posed, in metres.")] = 1.80,
    preview: Annotated[bool, typer.Option("--preview/--no-preview", help="Write a preview picture (.png) beside the mesh.")] = True,
    save_mask: Annotated[Path | None, typer.Option(help="Write the mask that was used to this PNG.")] = None,
    allow_rough_mask: Annotated[bool, typer.Option("--allow-rough-mask", help="Go on even with a mask that is only a guess.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    no_rembg: Annotated[bool, typer.Option("--no-rembg", help="Do not use a local rembg model even if there is one.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the result's path and errors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Turn one photo of a person into a clothed 3D mesh, with a JSON sidecar and a preview picture beside it."""
    started = time.perf_counter()
    values: dict[str, Any] = {
        "resolution": resolution,
        "height_m": height,
        "mask": None if mask is None else str(mask),
        "person_box": None if person_box is None else parse_box(person_box),
        "use_rembg": not no_rembg,
        "allow_rough_mask": allow_rough_mask,
        "preview": preview,
        "save_mask": None if save_mask is None else str(save_mask),
    }
    config = validate(ReconstructConfig, values, "reconstruct")
    from ncpifu_cli.stages.reconstruct_files import reconstruct_to_files

    target = output if output is not None else Path("out") / f"{photo.stem}.obj"
    result, outputs = reconstruct_to_files(photo, target, config, weights=weights, device=device, profile=profile, reporter=reporter(quiet))
    seconds = time.perf_counter() - started
    if as_json:
        from ncpifu_cli.stages.export import sidecar

        files = {name: None if path is None else str(path) for name, path in vars(outputs).items()}
        print_json({"files": files, "seconds": round(seconds, 2), **sidecar(result, outputs)})
        return
    if not quiet:
        steps = ", ".join(f"{name} {value:.1f}" for name, value in result.timings_s.items())
        mesh = result.mesh
        sys.stderr.write(f"{len(mesh.vertices)} vertices, {len(mesh.faces)} faces, mask from {result.prepared.mask.source}; {seconds:.1f} s ({steps})\n")
        if outputs.preview is not None:
            sys.stderr.write(f"preview: {outputs.preview}\n")
    print_line(str(outputs.mesh))


def parse_box(text: str) -> tuple[int, int, int, int]:
    """ "x,y,width,height" -> four integers; NcpifuError for anything else."""
    try:
        x, y, width, height = (round(float(part)) for part in text.split(","))
    except ValueError as error:
        raise NcpifuError(f"cannot read the person box {text!r}", "write x,y,width,height in photo pixels, for example 120,40,300,900") from error
    return x, y, width, height
