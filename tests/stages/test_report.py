"""Pages and tables from numbers that are made up."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ncpifu_cli.config.base import dump
from ncpifu_cli.config.eval import EvalConfig
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.stages import report_figure
from ncpifu_cli.stages import report_page as page
from ncpifu_cli.stages.report import REPORT_FORMAT, REPORT_VERSION, Report
from ncpifu_cli.stages.report_table import ABLATIONS, SYSTEMS, write_table


def write_run(folder: Path, methods: dict[str, float], **config: Any) -> Path:
    estimates = {
        name: {
            key: {"mean": mean + at, "low": mean - 0.1, "high": mean + 0.3, "count": 7, "level": 0.95} for at, key in enumerate(("chamfer", "p2s", "normal"))
        }
        for name, mean in methods.items()
    }
    document = {"format": REPORT_FORMAT, "version": REPORT_VERSION, "data": "scans", "subjects": ["a", "b"], "unscored": {}}
    methods_found = [{"name": name, "sha256": name, "scores": scores, "failed": []} for name, scores in estimates.items()]
    document |= {"config": dump(EvalConfig(**config)), "methods": methods_found}
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(document))
    return folder


def test_table_1_sets_ours_below_the_published_figures(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "a", {"compact": 2.5}), write_run(tmp_path / "b", {"compact": 3.5, "pifu": 4.5}, dataset="thuman2")]
    write_table(1, runs, tmp_path / "out")
    text = (tmp_path / "out" / "table1.md").read_text()
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert lines[0][:5] == ["Models", "THuman2.0 Chamfer ↓", "THuman2.0 P2S ↓", "THuman2.0 Normal ↓", "BUFF Chamfer ↓"]
    assert lines[0][7].startswith("synthetic test Chamfer")
    table = {line[0]: line[1:] for line in lines}
    assert table["PIFu"] == ["1.501 (↓50%)", "1.523 (↓52%)", "0.122 (↓37%)", "1.781 (↓57%)", "1.754 (↓55%)", "0.142 (↓39%)", "–", "–", "–"]
    assert table["ECON"][4] == "0.732 (↑7%)"
    assert table["ICON"][0] == "0.747 (↓0.3%)"
    assert table["`compact`"] == ["3.500 [3.400, 3.800]", *table["`compact`"][1:3], "–", "–", "–", "2.500 [2.400, 2.800]", *table["`compact`"][7:]]
    assert table["`pifu`"][6:] == ["–", "–", "–"]
    names = [line[0] for line in lines]
    assert names.index("*Measured by this project*") == names.index("Neural-code PIFu") + 1
    assert "cannot be compared" in text
    with open(tmp_path / "out" / "table1.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len([row for row in rows if row["origin"] == "published"]) == 6 * len(SYSTEMS)
    assert len([row for row in rows if row["origin"] == "measured"]) == 9


def test_table_2_gives_ablations_the_papers_words(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "a", {"full": 2.5, "no_fusion": 2.6, "pifu": 3})]
    text = write_table(2, runs, tmp_path).read_text()
    assert "w/o fusion (<code>no_fusion</code>)" in text
    assert "w/ all modules (<code>full</code>)" in text
    assert "<td><code>pifu</code></td>" in text
    assert all(name in text for name in ABLATIONS)


def test_all_runs_of_the_data_root_are_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCPIFU_DATA", str(tmp_path))
    with pytest.raises(NcpifuError, match="no finished evaluation"):
        write_table(1, [], None)
    write_run(tmp_path / "eval" / "synthetic", {"full": 1})
    write_run(tmp_path / "eval" / "synthetic-ood", {"full": 2}, split="ood", protocol="all", align="none")  # measured alike
    assert "synthetic ood" in write_table(1, [], None).read_text()


@pytest.mark.parametrize(
    ("other", "config", "message"),
    [
        ({"full": 1.0}, {"split": "ood", "protocol": "icon"}, "protocol icon, .* with paper"),
        ({"full": 1.0}, {}, "both on synthetic test"),
        ({"full": 1.0}, {"split": "ood", "resolution": 128}, "resolution 128"),
        ({"full": 1.0}, {"split": "ood", "align": "icp"}, "align icp, .* with none"),
    ],
)
def test_runs_that_do_not_fit_together_are_refused(tmp_path: Path, other: dict[str, float], config: dict[str, Any], message: str) -> None:
    runs = [write_run(tmp_path / "a", {"full": 1}), write_run(tmp_path / "b", other, **config)]
    with pytest.raises(NcpifuError, match=message):
        write_table(1, runs, tmp_path)
    assert not (tmp_path / "table1.html").exists()


def test_other_weights_of_the_same_name_and_old_reports_are_refused(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "a", {"full": 1}), write_run(tmp_path / "b", {"full": 1}, split="ood")]
    path = runs[1] / "report.json"
    document = json.loads(path.read_text())
    document["methods"][0]["sha256"] = "another"
    path.write_text(json.dumps(document))
    with pytest.raises(NcpifuError, match="'full' stands for different weights"):
        write_table(1, runs, tmp_path)
    (tmp_path / "unfinished").mkdir()
    with pytest.raises(NcpifuError, match="unfinished holds no finished evaluation"):
        write_table(1, [runs[0], tmp_path / "unfinished"], tmp_path)
    path.write_text(json.dumps(document | {"version": 1}))
    with pytest.raises(NcpifuError, match="not a report of this version"):
        write_table(1, runs, tmp_path)


def test_a_page_says_the_same_in_both_forms(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(b"picture")
    blocks = [
        page.Heading("A & B"),
        page.Text("**bold** and `x < y`"),
        page.Bullets(["one", "two"]),
        page.Table(["", "a", "b"], [["band"], ["x", "1 [0.5, 2]", "<3"]], [("", 1), ("both", 2)]),
        page.Picture(tmp_path / "one.png", "a caption"),
    ]
    text, web = page.markdown("Title", blocks), page.webpage("Title", blocks)
    assert text.startswith("# Title\n\n## A & B\n\n**bold** and `x < y`\n\n- one\n- two\n\n|  | both a | both b |\n| --- | --- | --- |\n| *band* |  |  |\n")
    assert "![a caption](one.png)" in text
    assert "<h2>A &amp; B</h2>" in web
    assert "<strong>bold</strong> and <code>x &lt; y</code>" in web
    assert '<th></th><th colspan="2">both</th>' in web
    assert '<tr class="band"><td colspan="3">band</td></tr>' in web
    assert '<td>1 <span class="range">[0.5, 2]</span></td><td>&lt;3</td>' in web
    assert "data:image/png;base64,cGljdHVyZQ==" in web


def test_tiles_are_cut_to_the_widest_subject() -> None:
    def tile(half: int) -> np.ndarray:
        picture = np.full((report_figure.TILE_PX, report_figure.TILE_PX, 3), 255, np.uint8)
        picture[:, report_figure.TILE_PX // 2 - half : report_figure.TILE_PX // 2 + half] = 0
        return picture

    middle = report_figure.TILE_PX // 2
    assert report_figure._crop([tile(100), tile(120)]) == slice(middle - 126, middle + 126)
    assert report_figure._crop([tile(100), tile(middle)]) == slice(middle - 106, middle + 106)  # a mesh in another unit makes no room
    assert report_figure._crop([tile(middle - 2)]) == slice(0, 2 * middle)
    assert report_figure._crop([]) == report_figure._crop([tile(5)])
    assert [report_figure._rank(index, 20) for index in (0, 9, 10, 19)] == ["best of 20", "median of 20", "11 of 20", "worst of 20"]


def test_notes_of_scans_are_told_as_ranges(tmp_path: Path) -> None:
    notes = {
        "a": ("height 0.9 m; scaled to 1.80 m", "dropped 3 duplicate faces"),
        "b": ("height 1.02 m; scaled to 1.80 m",),
        "c": ("dropped 3 duplicate faces",),
    }
    report = Report(tmp_path, EvalConfig(), tmp_path, [], [], notes=notes)
    assert report.detected() == {"height 0.9 to 1.02 m; scaled to 1.8 m": 2, "dropped 3 duplicate faces": 2}
