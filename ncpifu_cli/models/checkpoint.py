"""Weights on disk: safetensors with the model's settings as JSON in the header. No pickle, strict keys and shapes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ncpifu_cli.artifacts import write_tensors
from ncpifu_cli.config.base import dump, validate
from ncpifu_cli.config.model import ModelConfig
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.build import Network, build

FORMAT = "ncpifu-weights-1"


def save_tensors(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Write tensors and a JSON-able header to a safetensors file, atomically. NcpifuError when the disk is full: what was there before stays."""
    plain = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    write_tensors(path, plain, {key: json.dumps(value) for key, value in header.items()})


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a safetensors file; NcpifuError names the file when it is missing, broken or foreign."""
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, _header(file)  # noqa: SIM118 (not a dict)


def read_header(path: Path) -> dict[str, Any]:
    """The header alone, likewise."""
    with _opened(path) as file:
        return _header(file)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    path = Path(path)
    if not path.is_file():
        raise NcpifuError(f"weights file {path} does not exist", "give --weights FILE.safetensors or a released name such as compact")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except json.JSONDecodeError as error:
        raise NcpifuError(f"{path} holds no {FORMAT} weights", "it is of another network, or of another program") from error
    except (SafetensorError, OSError) as error:
        raise NcpifuError(f"{path} is not a weights file of this project: {error}", "it may be cut off or damaged; fetch or train it again") from error


def _header(file: Any) -> dict[str, Any]:
    return {key: json.loads(value) for key, value in (file.metadata() or {}).items()}


def save_weights(path: Path, model: Network, config: ModelConfig, meta: dict[str, Any]) -> None:
    """Write a network's weights with its settings; `meta` is free JSON (steps, data, scores)."""
    save_tensors(path, model.state_dict(), {"format": FORMAT, "config": dump(config), "meta": meta})


def load_weights(path: Path, device: str | torch.device = "cpu") -> tuple[Network, ModelConfig, dict[str, Any]]:
    """The network stored in `path`, in evaluation mode on `device`, its settings and `meta`.

    Raises NcpifuError for a missing, damaged or foreign file, and for weights that do not fit their own settings.
    """
    tensors, header = read_tensors(path)
    if header.get("format") != FORMAT:
        beside = path.with_name("weights.safetensors")
        hint = (
            f"that of the same run is {beside}"
            if path.name == "last.safetensors" and beside.is_file()
            else "use a weights.safetensors of `ncpifu train`, or a released one"
        )
        raise NcpifuError(f"{path} holds no {FORMAT} weights", hint)
    if not isinstance(header.get("config"), dict) or not isinstance(header.get("meta", {}), dict):
        raise NcpifuError(f"{path} does not say which network its weights are of", "the file was edited, or written by another program")
    header["config"].pop("color", None)  # networks had a colour head once, which nothing asks any more (docs/backs.md)
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("color_head.")}
    config = validate(ModelConfig, header["config"], str(path))
    model = build(config)
    problem = mismatch({name: tuple(t.shape) for name, t in model.state_dict().items()}, {name: tuple(t.shape) for name, t in tensors.items()})
    if problem:
        raise NcpifuError(f"{path} does not fit its own settings: {problem}", "the file was edited or comes from another version")
    model.load_state_dict({name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()})
    return model.to(device).eval(), config, header.get("meta", {})


def mismatch(wanted: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]]) -> str:
    """One line on how two sets of named shapes differ; empty when they are the same."""
    missing, extra = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    wrong = [name for name in wanted if name in found and wanted[name] != found[name]]
    parts = []
    if missing:
        parts.append(f"{len(missing)} missing (first {missing[0]})")
    if extra:
        parts.append(f"{len(extra)} unknown (first {extra[0]})")
    if wrong:
        parts.append(f"{len(wrong)} of another shape (first {wrong[0]}: {found[wrong[0]]} in place of {wanted[wrong[0]]})")
    return ", ".join(parts)
