"""What a terminal of the usual width shows."""

import pytest

from ncpifu_cli.cli.console import RichReporter


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_a_bar_keeps_its_numbers_whole_and_its_note_gives_way(columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    with RichReporter().task("training compact", 30000) as bar:
        bar.advance(12000, "step 12000  loss 0.1234  iou 0.812  3.2 images/s  waiting for data 12 %")
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) <= columns
    assert "training compact" in line and "12000/30000" in line and "step 12" in line
    assert ("waiting for data 12 %" in line) == (columns >= 120)
