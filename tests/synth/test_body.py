"""What can go wrong before there is a body model: played with a stand-in for anny."""

import sys
import types
from pathlib import Path

import pytest
from safetensors import SafetensorError

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import Silent
from ncpifu_cli.synth import body


@pytest.fixture
def anny(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    names = {"anny": (), "anny.models.model_data": ("TopologyConfig",), "anny.paths": ("get_anny_root_dir",), "anny.utils.obj_utils": ("load_obj_file",)}
    for name, contents in names.items():
        module = types.ModuleType(name)
        for content in contents:
            setattr(module, content, lambda *args, **kwargs: None)
        monkeypatch.setitem(sys.modules, name, module)
    return sys.modules["anny"]


def test_a_cache_that_cannot_be_written_is_one_line(anny: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(anny, "Anny", refuse, raising=False)
    monkeypatch.setenv("ANNY_CACHE_DIR", "/no/such/place")
    with pytest.raises(NcpifuError, match="Permission denied") as caught:
        body._load_body_model.__wrapped__()
    assert "/no/such/place" in caught.value.hint


def test_a_damaged_cache_is_one_line(anny: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: object) -> None:
        raise SafetensorError("Error while deserializing header: invalid header")

    monkeypatch.setattr(anny, "Anny", refuse, raising=False)
    monkeypatch.setenv("ANNY_CACHE_DIR", "/some/place")
    with pytest.raises(NcpifuError, match="deserializing") as caught:
        body._load_body_model.__wrapped__()
    assert "delete /some/place" in caught.value.hint


def test_no_room_for_the_cache_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "_load_body_model", lambda: pytest.fail("started to prepare it"))
    (tmp_path / "file").touch()
    monkeypatch.setenv("ANNY_CACHE_DIR", str(tmp_path / "file" / "folder"))
    with pytest.raises(NcpifuError, match="cannot prepare"):
        body.load_body_model()
    monkeypatch.setenv("ANNY_CACHE_DIR", str(tmp_path / "new"))
    monkeypatch.setattr(body, "CACHE_BYTES", 1 << 60)
    with pytest.raises(NcpifuError, match="GB free"):
        body.load_body_model()


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anny", None)
    with pytest.raises(NcpifuError) as caught:
        body._load_body_model.__wrapped__()
    assert 'pip install -e ".[synth]"' in caught.value.hint


def test_the_slow_first_preparation_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    class Heard(Silent):
        def info(self, message: str) -> None:
            said.append(message)

    monkeypatch.setattr(body, "is_cached", lambda: False)
    monkeypatch.setattr(body, "_check_room", lambda: None)
    monkeypatch.setattr(body, "_load_body_model", lambda: "the model")
    assert body.load_body_model(Heard()) == "the model"
    assert "one to three minutes" in said[0]
