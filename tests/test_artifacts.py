"""Atomic files and folders: whole or not at all."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ncpifu_cli.artifacts import atomic_folder, atomic_path, check_writable, only_one, read_json, remove_leftovers, stable_hash, temporary_prefix, write_json
from ncpifu_cli.errors import NcpifuError


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    write_json(target, {"a": 1})
    with pytest.raises(RuntimeError, match="half way"), atomic_path(target) as temporary:
        temporary.write_text("{")
        raise RuntimeError("half way")
    assert read_json(target) == {"a": 1}
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_folder_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "subject"
    with atomic_folder(target) as temporary:
        (temporary / "a").write_text("1")
    with pytest.raises(RuntimeError, match="half way"), atomic_folder(target) as temporary:
        (temporary / "a").write_text("2")
        raise RuntimeError("half way")
    assert (target / "a").read_text() == "1"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_takes_the_place_of_a_link(tmp_path: Path) -> None:
    elsewhere, target = tmp_path / "elsewhere", tmp_path / "subject"
    elsewhere.mkdir()
    (elsewhere / "a").write_text("1")
    target.symlink_to(elsewhere)
    with atomic_folder(target) as temporary:
        (temporary / "a").write_text("2")
    assert (target / "a").read_text() == "2" and not target.is_symlink()
    assert (elsewhere / "a").read_text() == "1"


def test_a_folder_that_cannot_be_moved_in_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, moves = tmp_path / "subject", []
    with atomic_folder(target) as temporary:
        (temporary / "a").write_text("1")
    replace = os.replace

    def interrupted(source: Path, to: Path) -> None:
        moves.append(to)
        if len(moves) == 2:  # the old folder is aside, the new one not yet there
            raise KeyboardInterrupt
        replace(source, to)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_folder(target) as temporary:
        (temporary / "a").write_text("2")
    assert (target / "a").read_text() == "1"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_one_line_and_other_trouble_is_not_called_one(tmp_path: Path) -> None:
    with pytest.raises(NcpifuError, match="cannot write .*out.png: No space left"), atomic_path(tmp_path / "out.png"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(ConnectionError), atomic_path(tmp_path / "out.png"):
        raise ConnectionResetError("the network")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_for_one_process_alone(tmp_path: Path) -> None:
    other = [
        sys.executable,
        "-c",
        f"from pathlib import Path; from ncpifu_cli.artifacts import only_one\nwith only_one(Path({str(tmp_path)!r}), 'works in'): pass",
    ]
    with only_one(tmp_path, "works in"):
        refused = subprocess.run(other, capture_output=True, text=True)
        assert refused.returncode and "another process works in" in refused.stderr
    assert subprocess.run(other).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_unwritable_target_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NcpifuError, match="cannot write"), atomic_path(tmp_path / "file" / "below.json"):
        pass
    (tmp_path / "folder").mkdir()
    with pytest.raises(NcpifuError, match="cannot write"), atomic_path(tmp_path / "folder"):
        pass


def test_checking_a_folder_makes_none_and_names_the_file_in_the_way(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "folder")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(NcpifuError, match="file is a file, not a folder"):
        check_writable(tmp_path / "file" / "folder", tmp_path / "file" / "folder" / "mesh.obj")


def test_json_errors_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    for name in ("bad.json", "missing.json"):
        with pytest.raises(NcpifuError, match=name):
            read_json(tmp_path / name)


def test_hash_ignores_key_order() -> None:
    assert stable_hash({"a": 1, "b": [1.5, "x"]}) == stable_hash({"b": [1.5, "x"], "a": 1})
    assert stable_hash({"a": 1}) != stable_hash({"a": 2})


def test_leftovers_go_when_their_owner_is_dead(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from ncpifu_cli.artifacts import temporary_prefix; print(temporary_prefix())"
    of_a_dead_process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    mine, elsewhere = temporary_prefix(), ".tmp-0badc0de-1-"
    for prefix in (of_a_dead_process, mine, elsewhere, ".tmp-old"):
        (tmp_path / f"{prefix}xyz-folder" / "rgb").mkdir(parents=True)
        (tmp_path / f"{prefix}xyz-file").write_text("half")
    for path in (*tmp_path.glob(f"{mine}*"), *tmp_path.glob(".tmp-old*")):
        os.utime(path, (0, 0))
    remove_leftovers(tmp_path)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == sorted(f"{prefix}xyz-{what}" for prefix in (mine, elsewhere) for what in ("folder", "file"))  # at work, or who knows
