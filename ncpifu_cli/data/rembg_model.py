"""The only file that imports rembg (design: rendering_and_masks C1).

Only sessions that run here, with a free licence, and a file that is on disk: rembg itself would fetch its default model, which is non-commercial, or hang for
30 s behind a firewall, and two of its sessions upload the photo. None of that can happen through this file. A model is downloaded only when asked for by name.
"""

import hashlib
import os
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import atomic_path
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import SILENT, Reporter

# name -> licence of code and weights; the first one found on disk is used
ALLOWED_MODELS = {
    "birefnet-portrait": "MIT",
    "u2net_human_seg": "Apache-2.0",
    "isnet-general-use": "Apache-2.0",
    "u2net": "Apache-2.0",
    "silueta": "Apache-2.0",
    "u2netp": "Apache-2.0",
}
_RELEASE = "https://github.com/danielgatis/rembg/releases/download/v0.0.0"
DOWNLOAD_URL = f"{_RELEASE}/u2net_human_seg.onnx"
# MD5 as published in rembg's own source: they tell a damaged download, not a forged one
_MD5 = {
    "birefnet-portrait": "c3a64a6abf20250d090cd055f12a3b67",
    "u2net_human_seg": "c09ddc2e0104f800e3e1bb4652583d1f",
    "isnet-general-use": "fc16ebd8b0c10d971d3513d564d01e29",
    "u2net": "60024c5c889badc19c04ad937298a77b",
    "silueta": "55e59e0d8062d2f5d013f4725ee84782",
    "u2netp": "8e83ca70e441ab06c318d82300c84806",
}
_RELEASED_AS = {"birefnet-portrait": "BiRefNet-portrait-epoch_150"}
_CONNECT_S = 5  # a firewall that swallows packets must not cost more


def wanted_path() -> Path:
    """Where `u2net_human_seg.onnx` has to be put to be found."""
    return _candidates("u2net_human_seg")[0]


def find_model(names: tuple[str, ...] = tuple(ALLOWED_MODELS)) -> tuple[str, Path] | None:
    """(name, file) of the first of these models that is on disk, or None. Looks where rembg itself looks; imports nothing."""
    for name in names:
        for path in _candidates(name):
            if path.is_file() and path.stat().st_size > 100_000:
                return name, path
    return None


def wanted_model(option: str) -> str:
    """What an option that was left at "auto" means: $NCPIFU_MASK_MODEL where that is set."""
    return os.environ.get("NCPIFU_MASK_MODEL") or "auto" if option == "auto" else option


def resolve_model(wanted: str, reporter: Reporter = SILENT) -> tuple[str, Path] | None:
    """(name, file) of the model that `wanted` means, None where it means none.

    "auto": the first model on disk. "none": None. A name: on disk, else downloaded now. A file: that file, run as the model
    of its name, or as u2net_human_seg. Raises NcpifuError for an unknown name, a missing file and a failed download.
    """
    if wanted in ("auto", "none"):
        return find_model() if wanted == "auto" else None
    if wanted in ALLOWED_MODELS:
        return find_model((wanted,)) or (wanted, _download(wanted, reporter))
    path = Path(wanted).expanduser()
    if path.suffix != ".onnx":
        raise NcpifuError(f"there is no mask model {wanted!r}", f"use auto, none, a local .onnx file, or one of: {', '.join(ALLOWED_MODELS)}")
    if not path.is_file():
        raise NcpifuError(f"the mask model {path} does not exist", "check the path, or drop --mask-model")
    return (path.stem if path.stem in ALLOWED_MODELS else "u2net_human_seg"), path


def _download(name: str, reporter: Reporter) -> Path:
    """Fetch a model to where rembg looks for it, with progress; nothing is left behind when that fails."""
    url, target = f"{_RELEASE}/{_RELEASED_AS.get(name, name)}.onnx", _candidates(name)[0]
    try:
        with urllib.request.urlopen(url, timeout=_CONNECT_S) as answer, atomic_path(target) as temporary:
            total = int(answer.headers.get("Content-Length", 0)) / 1e6
            digest = hashlib.md5(usedforsecurity=False)
            with reporter.task(f"downloading {name} ({ALLOWED_MODELS[name]}), MB", round(total) or None) as task, open(temporary, "wb") as file:
                while block := answer.read(1 << 20):
                    file.write(block)
                    digest.update(block)
                    task.advance(len(block) / 1e6)
            if digest.hexdigest() != _MD5[name]:
                raise NcpifuError(f"the download of {name} is damaged", "try again")
    except OSError as error:  # no network, a firewall, a full disk
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise NcpifuError(f"cannot download the mask model {name}: {reason}", f"fetch {url} elsewhere and put it at {target}, or drop --mask-model") from error
    return target


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
        raise NcpifuError(f"rembg cannot be imported ({type(error).__name__}: {error})", 'pip install "rembg[cpu]", or use --mask-model none') from error
    try:
        released = next(session for session in sessions_class if session.name() == name)
        # Whatever rembg's version thinks of where its files lie: the one we found is opened and nothing is fetched.
        local = type("LocalSession", (released,), {"download_models": classmethod(lambda cls, *args, **kwargs: str(model_file))})
        session = local(name, onnxruntime.SessionOptions(), providers=["CPUExecutionProvider"])
        answer = remove(Image.fromarray(rgb), session=session, only_mask=True, post_process_mask=False)
    except Exception as error:  # onnxruntime's own classes derive from nothing narrower
        raise NcpifuError(
            f"the rembg model {model_file} failed: {(str(error) or type(error).__name__).splitlines()[0]}",
            f"is it whole, and of {name}'s kind, as which it was run for its file name? --mask-model none goes on without it",
        ) from error
    coverage = np.asarray(answer.convert("L"), np.uint8)
    if coverage.shape != rgb.shape[:2]:
        raise NcpifuError(f"the rembg model {name} answered with {coverage.shape} for a photo of {rgb.shape[:2]}", "use --mask-model none or --mask FILE")
    return coverage


def _candidates(name: str) -> list[Path]:
    """rembg's own search order: $U2NET_HOME or $REMBG_HOME (default ~/.rembg) by model, then the old flat ~/.u2net."""
    file, data = f"{name}.onnx", os.environ.get("XDG_DATA_HOME")
    home = os.environ.get("U2NET_HOME") or os.environ.get("REMBG_HOME") or (f"{data}/rembg" if data else "~/.rembg")
    flat = os.environ.get("U2NET_HOME") or f"{data or '~'}/.u2net"
    return [Path(home).expanduser() / "models" / name / file, Path(flat).expanduser() / file]
