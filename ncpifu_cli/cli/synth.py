"""`ncpifu synth`: make clothed humans to train on."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from ncpifu_cli.cli.console import handle_errors, print_json, print_line, reporter


@handle_errors
def synth_cli(
    out: Annotated[Path | None, typer.Option("--output", "-o", "--out", help="Folder for the humans.", show_default="data/scans")] = None,
    count: Annotated[int, typer.Option(help="How many. Without --split: so many for training and a tenth (at least 2) for testing.")] = 20,
    seed: Annotated[int, typer.Option(help="Number of the first human; the following numbers are used up.")] = 1,
    split: Annotated[str | None, typer.Option(help="train, test, or ood (garments, poses, patterns and hair that train never shows).")] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Processes at the same time, about 1 GB each; 0 = one per core.")] = 1,
    engine: Annotated[str, typer.Option(help="processes of this machine, or ray: the nodes of a Ray cluster.")] = "processes",
    address: Annotated[str | None, typer.Option(help="The Ray cluster: HOST:6379, or auto. Default: Ray on this machine.")] = None,
    device: Annotated[str, typer.Option(help="Where cloth is simulated: cpu or cuda.")] = "cpu",
    cloth: Annotated[str, typer.Option(help="simulated, or skinned: moved with the skin below, twice as fast and without hanging folds.")] = "simulated",
    detail: Annotated[str, typer.Option(help="train (110 000 faces) or full (every face).")] = "train",
    mesh_format: Annotated[str, typer.Option("--format", help="Mesh file: drc (compact), glb, ply or obj.")] = "drc",
    person: Annotated[Path | None, typer.Option(help="YAML that fixes outfit, pose, body, hair, shoes, props (see docs/synth.md).")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Also write a contact sheet (PNG or JPEG) of the first 24: colour, normals, slices.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no messages.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Make dressed, posed 3D humans from seeds: meshes with colours, and what they are made of.

    Finished humans are kept: run the same command again to go on after a stop, or with a larger --count to add more.
    The body model is prepared once per machine (one to three minutes).
    """
    from ncpifu_cli.config.base import load, validate
    from ncpifu_cli.config.synth import SynthConfig, Wishes
    from ncpifu_cli.errors import NcpifuError
    from ncpifu_cli.progress import counted
    from ncpifu_cli.stages.synth import synth

    if person is not None and not person.is_file():
        raise NcpifuError(f"no file {person}", "--person takes a YAML file, see docs/synth.md")
    values = {
        "count": count,
        "seed": seed,
        "split": split,
        "jobs": jobs,
        "engine": engine,
        "address": address,
        "device": device,
        "cloth": cloth,
        "detail": detail,
        "format": mesh_format,
    }
    result = synth(validate(SynthConfig, values, "synth"), out, sheet, reporter(quiet), load(Wishes, person))
    if as_json:
        print_json(result.as_json())
    elif not quiet:
        left_out = len(result.rejected) + len(result.failed)
        more = f", {left_out} left out (see the warnings above)" if left_out else ""
        splits = Counter(name.split("-")[0] for name in result.subjects)
        which = ", ".join(f"{number} {split}" for split, number in splits.items())
        print_line(f"{counted(len(result.subjects), 'human')} in {result.folder} ({which}; {len(result.made)} new, {len(result.kept)} kept{more})")
