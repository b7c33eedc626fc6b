"""Small networks of `data` on disk: safetensors in half precision, told apart by a format in the header."""

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from ncpifu_cli.artifacts import write_tensors
from ncpifu_cli.errors import NcpifuError

Net = TypeVar("Net", bound=nn.Module)


def save_half(path: Path, net: nn.Module, kind: str, meta: dict[str, Any]) -> None:
    """Write the weights in half precision with `kind` and `meta` (free JSON) in the header of the file; atomic.

    Raises NcpifuError where they are not finite, or too large for half precision: a healthy network's are far from it.
    """
    tensors = {name: value.half().contiguous() if value.is_floating_point() else value for name, value in net.state_dict().items()}
    wrong = [name for name, value in tensors.items() if not torch.isfinite(value).all()]
    if wrong:
        raise NcpifuError(f"the weights have diverged ({wrong[0]} is beyond 65504 or no number): {path} stays as it was", "lower the learning rate")
    write_tensors(path, tensors, {"format": kind, "meta": json.dumps(meta)})


def holds(path: Path, prefix: str) -> bool:
    """Whether a tensor's name begins so in a file that can be read; `read_half` tells of others."""
    try:
        with safe_open(path, framework="pt") as file:
            return any(name.startswith(prefix) for name in file.keys())  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError):
        return False


def read_once(load: Callable[[Path], Net], path: Path, device: str | torch.device = "cpu") -> Net:
    """`load(path)` on a device: the same network again as long as the file has not changed."""
    return _read(load, path, path.stat().st_mtime_ns, str(device))  # type: ignore[return-value]


@lru_cache(maxsize=4)  # a photo takes three: its mask, its normals and its back
def _read(load: Callable[[Path], nn.Module], path: Path, changed_ns: int, device: str) -> nn.Module:
    return load(path).to(device)


def read_half(path: Path, net: nn.Module, kind: str, released_name: str) -> None:
    """Load what `save_half` wrote into `net`, in float32. NcpifuError for a file that is missing, damaged or something else."""
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("format") != kind:
                raise NcpifuError(f"{path} holds no {kind} weights", f"use the {released_name} released with this project")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        if not all(torch.isfinite(value).all() for value in tensors.values()):
            raise NcpifuError(f"{path} holds numbers that are none", "the training that wrote it diverged; use earlier weights")
        net.load_state_dict({name: value.float() if value.is_floating_point() else value for name, value in tensors.items()})
    except (SafetensorError, OSError, RuntimeError) as error:  # RuntimeError: other names or shapes
        raise NcpifuError(
            f"{path} holds no {kind} weights of this version: {str(error).splitlines()[0]}", "it may be damaged; fetch or train it again"
        ) from error
