"""The Typer application: one line per verb."""

from typing import Annotated

import typer

from ncpifu_cli import __version__
from ncpifu_cli.cli.data import data_app
from ncpifu_cli.cli.doctor import doctor_cli
from ncpifu_cli.cli.eval import eval_cli
from ncpifu_cli.cli.reconstruct import reconstruct_cli
from ncpifu_cli.cli.render import render_cli
from ncpifu_cli.cli.synth import synth_cli
from ncpifu_cli.cli.train import train_cli

app = typer.Typer(
    name="ncpifu",
    help="One photo of a person in, a clothed 3D human mesh out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"ncpifu {__version__}")
        raise typer.Exit


@app.callback()
def _root(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")] = False) -> None:
    pass


app.command("reconstruct")(reconstruct_cli)
app.command("synth")(synth_cli)
app.command("render")(render_cli)
app.add_typer(data_app, name="data")
app.command("train")(train_cli)
app.command("eval")(eval_cli)
app.command("doctor")(doctor_cli)


def main() -> None:
    """Entry point of the `ncpifu` command."""
    app()
