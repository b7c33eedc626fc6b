"""What a folder of renders holds is not replaced by something else unasked."""

import json
from pathlib import Path
from typing import Any

import pytest
from scan_fixtures import write_draco
from test_render import QUICK, contents, manifest, run, settings

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import Silent
from ncpifu_cli.stages import render as render_stage
from ncpifu_cli.stages.render import render


class Listener(Silent):
    def __init__(self) -> None:
        self.told: list[str] = []

    def warn(self, message: str) -> None:
        self.told.append(message)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    for name in ("train-000001", "train-000002"):
        write_draco(tmp_path / "scans" / name / "mesh.drc")
    return tmp_path / "scans"


def rewrite(subject: Path, **changes: Any) -> None:
    document = {key: value for key, value in {**manifest(subject), **changes}.items() if value is not None}
    (subject / "subject.json").write_text(json.dumps(document))


def test_other_settings_are_refused_before_any_work_and_named(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "renders"
    render(scans, out, settings())
    write_draco(scans / "train-000003" / "mesh.drc")
    before = contents(out)
    with pytest.raises(NcpifuError, match=r"holds 2 subjects drawn otherwise \(train-000001: light prt, now sh; maps none, now normal\)"):
        render(scans, out, settings(light="sh", maps=("normal",)))
    with pytest.raises(NcpifuError, match=r"pitch_deg 0, now 0,10"):
        render(scans, out, settings(pitch_deg=(0, 10)))
    assert contents(out) == before
    listener = Listener()
    assert len(render(scans, out, settings(light="sh", overwrite=True), listener).done) == 3
    assert any(message.startswith("2 subjects drawn anew") for message in listener.told)
    assert render(scans, out, settings(light="sh")).done == []


def test_a_subject_of_another_data_set_is_kept(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "renders"
    render(scans, out, settings())
    write_draco(tmp_path / "mine" / "train-000001.drc")
    with pytest.raises(NcpifuError, match=r"holds 1 subject drawn otherwise \(train-000001: dataset synthetic, now folder\)"):
        render(tmp_path / "mine", out, settings(dataset="folder"))


def test_another_scan_or_version_is_drawn_anew_and_told(scans: Path, tmp_path: Path) -> None:
    out, listener = tmp_path / "renders", Listener()
    render(scans, out, settings())
    rewrite(out / "train-000001", hash="of another scan")
    assert render(scans, out, settings(), listener).done == ["train-000001"]
    assert listener.told[0].startswith("1 subject drawn anew, in place of what is there")


@pytest.mark.parametrize("recorded", [None, ["not", "a", "dict"]])
def test_renders_that_do_not_record_their_settings_are_kept(scans: Path, tmp_path: Path, recorded: Any) -> None:
    out = tmp_path / "renders"
    render(scans, out, settings())
    rewrite(out / "train-000001", settings=recorded)
    assert render(scans, out, settings()).done == []  # the hash tells that nothing changed
    assert len(render(scans, out, settings(layout="pifu")).done) == 2  # laid out, not drawn
    rewrite(out / "train-000001", hash="of an older version")
    with pytest.raises(NcpifuError, match="holds 1 subject drawn otherwise .*by an older version that did not record its settings"):
        render(scans, out, settings())


def test_what_another_command_draws_meanwhile_is_kept(scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "renders"
    choose = render_stage.choose_renderer

    (tmp_path / "one.txt").write_text("train-000001")

    def meanwhile(name: str) -> tuple[str, str | None]:
        monkeypatch.setattr(render_stage, "choose_renderer", choose)
        render(scans, out, settings(light="sh", split=str(tmp_path / "one.txt")))
        return choose(name)

    monkeypatch.setattr(render_stage, "choose_renderer", meanwhile)
    report = render(scans, out, settings())
    assert report.done == ["train-000002"]
    assert "another command drew it meanwhile (light sh, now prt)" in report.failed["train-000001"]
    assert manifest(out / "train-000001")["settings"]["light"] == "sh"


def test_the_command_asks_for_overwrite(scans: Path, tmp_path: Path) -> None:
    assert run(scans, "-o", tmp_path / "out", *QUICK, "--quiet")[0] == 0
    code, _, stderr = run(scans, "-o", tmp_path / "out", *QUICK, "--quiet", "--light", "flat")
    assert code == 1
    assert "--overwrite" in stderr
    code, stdout, _ = run(scans, "-o", tmp_path / "out", *QUICK, "--quiet", "--light", "flat", "--overwrite")
    assert code == 0
    assert "2 subjects rendered" in stdout
