"""Which weights: a file, a released name, `$NCPIFU_WEIGHTS`, or the released compact ones; loaded once, used for any number of photos."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncpifu_cli.artifacts import released_files, sha256
from ncpifu_cli.data import backs, blazepose, matting, normals
from ncpifu_cli.errors import NcpifuError

if TYPE_CHECKING:
    import torch

    from ncpifu_cli.config.model import ModelConfig
    from ncpifu_cli.models.api import ImplicitModel

DEFAULT_NAME = "compact"


@dataclass(frozen=True)
class LoadedModel:
    """A network ready to reconstruct.

    Attributes: model in evaluation mode on `device`; config: its settings; meta: what the training wrote beside it; path and sha256 of the file.
    """

    model: "ImplicitModel" = field(repr=False)
    config: "ModelConfig"
    meta: dict[str, Any]
    device: "torch.device"
    sha256: str
    path: Path


def load_model(weights: str | Path | None = None, device: str = "auto", profile: str | None = None) -> LoadedModel:
    """Load weights.

    Args:
        weights: a .safetensors file, a released name ("compact"), or None for `$NCPIFU_WEIGHTS`, else the released compact weights.
        device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N". profile: refuse weights of any other profile.

    Raises NcpifuError for weights that are missing, damaged, foreign or of another profile, and for a device that is not there.
    """
    path = find_weights(weights)
    from ncpifu_cli.models.checkpoint import load_weights
    from ncpifu_cli.stages.device import pick_device

    where = pick_device(device)
    model, config, meta = load_weights(path, where)
    if profile is not None and config.profile != profile:
        raise NcpifuError(
            f"{path} holds weights of the profile {config.profile!r}, not {profile!r}", f"drop --profile, or give --weights of the profile {profile}"
        )
    return LoadedModel(model, config, meta, where, sha256(path), path)


def find_weights(weights: str | Path | None = None) -> Path:
    """The weights file that `load_model` would read. NcpifuError says what was looked for and what there is."""
    wanted = str(weights if weights is not None else os.environ.get("NCPIFU_WEIGHTS") or DEFAULT_NAME)
    path = Path(wanted).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise NcpifuError(f"the weights {wanted} are a folder", "give a .safetensors file in it")
    released = released_weights()
    if wanted in released:
        return released[wanted]
    have = f"one of: {', '.join(released)}" if released else "train some with `ncpifu train`: no released weights are installed, they come with a clone"
    missing = f"there is no weights file {wanted}" if path.suffix or len(path.parts) > 1 else f"there are no weights named {wanted!r}"
    raise NcpifuError(missing, f"give a .safetensors file, or {have}")


def released_weights() -> dict[str, Path]:
    """Name -> file of the networks that came with this installation (those for masks, normals and backs are not asked for by name)."""
    own = (matting.FILE_NAME, normals.FILE_NAME, backs.FILE_NAME, blazepose.DETECTOR, blazepose.LOOKER)
    return {path.stem.removeprefix("ncpifu-"): path for name, path in released_files().items() if name not in own}
