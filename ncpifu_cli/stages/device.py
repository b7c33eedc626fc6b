"""Which device a stage computes on."""

import torch

from ncpifu_cli.errors import NcpifuError


def pick_device(name: str = "auto") -> torch.device:
    """`auto` (CUDA where it is available), `cpu`, `cuda` or `cuda:N`. Raises NcpifuError for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise NcpifuError(f"unknown device {name!r}", "use auto, cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise NcpifuError("CUDA is not available on this machine", "use --device cpu, or install a CUDA build of torch")
    if device.type not in ("cpu", "cuda"):
        raise NcpifuError(f"device {name!r} is not supported", "use auto, cpu or cuda")
    return device


def computes_bfloat16(device: torch.device) -> bool:
    """Whether the device has units for bfloat16; others imitate it slowly."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    told: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # not in older versions of torch
    return bool(told.get("avx512_bf16") or told.get("amx_bf16"))
