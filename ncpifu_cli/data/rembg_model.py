"""The only file that imports rembg (design: rendering_and_masks C1).

Only sessions that run here, with a free licence, and only when their model file is already on disk: rembg would download it (or hang for 30 s behind
a firewall), its default model is non-commercial, and two of its sessions upload the photo. None of that can happen through this file.
"""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.errors import NcpifuError

# name -> licence of code and weights; the first one found on disk is used
ALLOWED_MODELS = {
    "birefnet-portrait": "MIT",
    "u2net_human_seg": "Apache-2.0",
    "isnet-general-use": "Apache-2.0",
    "u2net": "Apache-2.0",
    "silueta": "Apache-2.0",
    "u2netp": "Apache-2.0",
}
DOWNLOAD_URL = "https://github.com/danielgatis/rembg/releases/download/v0.0.0/u2net_human_seg.onnx"


def wanted_path() -> Path:
    """Where `u2net_human_seg.onnx` has to be put to be found."""
    return _candidates("u2net_human_seg")[0]


def find_model() -> tuple[str, Path] | None:
    """(name, file) of the first allowed model on disk, or None. Looks where rembg itself looks; imports nothing."""
    for name in ALLOWED_MODELS:
        for path in _candidates(name):
            if path.is_file() and path.stat().st_size > 100_000:
                return name, path
    return None


def rembg_coverage(rgb: NDArray[np.uint8], name: str, model_file: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 sRGB -> (H, W) uint8 coverage of the person by the local model `name`, stored in `model_file`.

    Raises NcpifuError where rembg cannot be imported or run. The first import compiles for about a minute, later ones take two seconds.
    """
    if name not in ALLOWED_MODELS:
        raise NcpifuError(f"rembg model {name!r} is not among the local, freely licensed ones", f"use one of: {', '.join(ALLOWED_MODELS)}")
    try:
        import onnxruntime
        from PIL import Image
        from rembg import remove
        from rembg.sessions import sessions_class
    except (SystemExit, ImportError, AttributeError) as error:  # without onnxruntime rembg calls sys.exit(1)
        raise NcpifuError(f"rembg cannot be imported ({type(error).__name__}: {error})", 'pip install "rembg[cpu]", or use --no-rembg') from error
    try:
        released = next(session for session in sessions_class if session.name() == name)
        # Whatever rembg's version thinks of where its files lie: the one we found is opened and nothing is fetched.
        local = type("LocalSession", (released,), {"download_models": classmethod(lambda cls, *args, **kwargs: str(model_file))})
        session = local(name, onnxruntime.SessionOptions(), providers=["CPUExecutionProvider"])
        answer = remove(Image.fromarray(rgb), session=session, only_mask=True, post_process_mask=False)
    except Exception as error:  # onnxruntime's own classes derive from nothing narrower
        raise NcpifuError(
            f"the rembg model {model_file} failed: {(str(error) or type(error).__name__).splitlines()[0]}",
            "is the file complete? --no-rembg goes on without it",
        ) from error
    coverage = np.asarray(answer.convert("L"), np.uint8)
    if coverage.shape != rgb.shape[:2]:
        raise NcpifuError(f"the rembg model {name} answered with {coverage.shape} for a photo of {rgb.shape[:2]}", "use --no-rembg or --mask FILE")
    return coverage


def _candidates(name: str) -> list[Path]:
    """rembg's own search order: $U2NET_HOME or $REMBG_HOME (default ~/.rembg) by model, then the old flat ~/.u2net."""
    file, data = f"{name}.onnx", os.environ.get("XDG_DATA_HOME")
    home = os.environ.get("U2NET_HOME") or os.environ.get("REMBG_HOME") or (f"{data}/rembg" if data else "~/.rembg")
    flat = os.environ.get("U2NET_HOME") or f"{data or '~'}/.u2net"
    return [Path(home).expanduser() / "models" / name / file, Path(flat).expanduser() / file]
