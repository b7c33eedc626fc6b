"""Settings: every shipped file loads, unknown keys and bad values are refused with the key's name."""

from pathlib import Path

import pytest

from ncpifu_cli.config.base import CONFIGS, dump, load, validate
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.errors import NcpifuError

PROFILES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_load_and_survive_a_dump(name: str) -> None:
    config = load(TrainConfig, name)
    assert config.model.profile == name
    assert validate(TrainConfig, dump(config), "dump") == config


def test_overrides_win_over_the_ablation_and_the_file() -> None:
    config = load(TrainConfig, "tiny", ["optim.lr=0.5", "model.integration=points"], ablation="no_integration")
    assert config.optim.lr == 0.5
    assert config.model.integration == "points"
    assert config.model.encoder.channels == 16  # untouched neighbours stay


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("optim.speed=3", "optim.speed: unknown key"),
        ("optim.lrr=3", "did you mean optim.lr?"),
        ("model.classifier=[0]", "model.classifier"),
        ("model.lattice.size=[0,1,1]", "model.lattice"),
        ("model.encoder.depth=9", "too often"),
        ("steps=many", "steps"),
        ("optim.lr=-1", "optim.lr"),
        ("steps", "key.sub=value"),
        ("steps.sub=3", "steps"),
    ],
)
def test_bad_overrides_name_the_key(override: str, words: str) -> None:
    with pytest.raises(NcpifuError) as caught:
        load(TrainConfig, "tiny", [override])
    assert words in caught.value.message + caught.value.hint


def test_extends(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extends: tiny\noptim: {lr: 0.25}\n")
    config = load(TrainConfig, tmp_path / "mine.yaml")
    assert config.optim.lr == 0.25
    assert config.optim.batch_size == load(TrainConfig, "tiny").optim.batch_size


def test_what_extends_itself_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b\n")
    (tmp_path / "b.yaml").write_text("extends: a\n")
    with pytest.raises(NcpifuError, match="extends itself"):
        load(TrainConfig, tmp_path / "a.yaml")


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n", "\x00"])
def test_unreadable_yaml(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(NcpifuError, match="bad.yaml"):
        load(TrainConfig, tmp_path / "bad.yaml")


def test_unknown_names_list_what_exists() -> None:
    with pytest.raises(NcpifuError) as caught:
        load(TrainConfig, "compcat")
    assert "compact" in caught.value.hint
