"""What a terminal of the usual width shows."""

from pathlib import Path

import pytest

from ncpifu_cli.cli.console import RichReporter, print_line
from ncpifu_cli.cli.reconstruct import _print_table
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.stages.reconstruct_batch import Row


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_a_bar_keeps_its_numbers_whole_and_its_note_gives_way(columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    with RichReporter().task("training compact", 30000) as bar:
        bar.advance(12000, "step 12000  loss 0.1234  iou 0.812  3.2 images/s  waiting for data 12 %")
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) <= columns
    assert "training compact" in line and "12000/30000" in line and "step 12" in line
    assert ("waiting for data 12 %" in line) == (columns >= 120)


def test_names_in_brackets_are_shown_as_they_are(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    _print_table([Row(Path("trip [edited].jpg"), error=NcpifuError("the photo trip[/x]/none.png does not exist"))], 1, Path("out[1]"))
    with RichReporter().task("[photos]", 1) as bar:
        bar.advance(1, "holiday [bold].jpg")
    told = capsys.readouterr().err
    for text in ("trip [edited].jpg", "trip[/x]/none.png", "out[1]", "[photos]", "holiday [bold].jpg"):
        assert text in told


def test_a_name_that_is_no_text_is_printed_all_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    print_line("m\udce9sh.obj")
    assert capfd.readouterr().out == "m\\udce9sh.obj\n"
