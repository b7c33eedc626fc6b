"""`ncpifu data`: look at training data before anyone trains on it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ncpifu_cli.artifacts import default_root
from ncpifu_cli.cli.console import handle_errors, print_json, print_line, reporter
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import counted

if TYPE_CHECKING:
    from ncpifu_cli.stages.data_check import DataReport

PROBLEMS = 3  # exit code: something in the folder would spoil a training run
SHOWN = 10

data_app = typer.Typer(help="Look at training data.", no_args_is_help=True)


@data_app.command("check")
@handle_errors
def data_check_cli(
    folder: Annotated[Path | None, typer.Argument(help="Folder that `render` wrote. Default: renders/ under the data root.")] = None,
    views: Annotated[int, typer.Option(min=0, help="Views of each subject that are opened; 0 opens all.")] = 4,
    sheet: Annotated[Path | None, typer.Option(help="Also write a contact sheet to this PNG or JPEG.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Check renders: files, sizes, label balance, masks at the border, labels where the pictures show a person. Exit code 3 where something is wrong."""
    from ncpifu_cli.stages.contact_sheet import check_sheet_path, write_contact_sheet
    from ncpifu_cli.stages.data_check import check_renders

    source = folder if folder is not None else default_root() / "renders"
    if sheet is not None:
        check_sheet_path(sheet)
    report = check_renders(source, views, reporter(quiet))
    if as_json:
        print_json({**vars(report), "folder": str(report.folder)})
    else:
        _print(report)
    if sheet is not None:
        sound = sorted({path.parent.name for path in source.glob("[!.]*/subject.json")} - set(report.problems))
        if sound:
            write_contact_sheet(source, sheet, sound)
    if report.problems:
        raise NcpifuError(
            f"problems with {counted(len(report.problems), 'subject')} in {source}", "delete their folders and run `ncpifu render` again", PROBLEMS
        )


def _print(report: "DataReport") -> None:
    print_line(
        f"{report.folder}: {counted(report.subjects, 'subject')} ({report.held_out} held out), {report.views} views, {report.checked_views} of them opened"
    )
    print_line("picture size: " + ", ".join(f"{size} px ({counted(count, 'subject')})" for size, count in report.sizes_px.items()))
    for units, heights in report.heights.items():
        scale = "a scale of their own" if units == "own" else units
        print_line(f"raw heights of {report.units[units]} subjects in {scale}, lowest / median / highest: {{:.4g}} / {{:.4g}} / {{:.4g}}".format(*heights))
    if report.near_inside:
        print_line("near points inside, lowest / median / highest: {:.1%} / {:.1%} / {:.1%}".format(*report.near_inside))
    if report.touching_border:
        print_line(f"masks touching the border: {_some([f'{name} ({views})' for name, views in report.touching_border.items()])}")
    if report.leftovers:
        print_line(f"left by interrupted runs, may be deleted: {_some(report.leftovers)}")
    for note, count in report.notes.items():
        print_line(f"noted in {counted(count, 'subject')}: {note}")
    for name, problems in list(report.problems.items())[:SHOWN]:
        print_line(f"PROBLEM {name}: {'; '.join(problems[:3])}")


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
