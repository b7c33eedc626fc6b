"""What works on this machine and what to install for the rest."""

import importlib
import importlib.util
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ncpifu_cli import __version__, artifacts
from ncpifu_cli.artifacts import sha256
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import SILENT, Reporter

REMBG_PACKAGES = ("rembg", "onnxruntime")
MEDIA_PACKAGES = {"imageio_ffmpeg": "--turntable mp4", "pillow_heif": "HEIC photos", "xatlas": "--texture"}  # module -> what it is for


@dataclass(frozen=True)
class Check:
    """One line of the report.

    Attributes: name; state: "ok", "missing" (something optional is not there), "broken" (something essential is not there); detail; hint: what to do.
    """

    name: str
    state: str
    detail: str
    hint: str = ""


def examine(reporter: Reporter = SILENT) -> list[Check]:
    """Every check in turn. Takes some seconds: OpenGL is tried in a process of its own."""
    steps: tuple[Callable[[], Check], ...] = (
        check_python,
        check_torch,
        check_geometry,
        check_weights,
        check_weights_hashes,
        check_people,
        check_matting,
        check_normals,
        check_back,
        check_mask_model,
        check_media,
        check_opengl,
        check_bodies,
        check_tensorboard,
        check_cluster,
    )
    results = []
    with reporter.task("looking around", len(steps)) as task:
        for step in steps:
            results.append(step())
            task.advance(note=results[-1].name)
    return results


def check_python() -> Check:
    """The interpreter and this package."""
    detail = f"ncpifu {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        return Check("python", "broken", detail, "use Python 3.10 to 3.13")
    return Check("python", "ok", detail)


def check_torch() -> Check:
    """torch and the device that `--device auto` takes."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return Check("torch", "broken", f"cannot be imported: {_line(error)}", "pip install torch")
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return Check("torch", "ok", f"{torch.__version__}, device cuda: {properties.name}, {properties.total_memory / 2**30:.0f} GB")
    return Check("torch", "ok", f"{torch.__version__}, device cpu, {torch.get_num_threads()} threads (no CUDA found)")


def check_geometry() -> Check:
    """The compiled parts that every reconstruction needs."""
    missing = []
    for module in ("cv2", "numba", "scipy", "skimage", "trimesh", "PIL", "igl", "safetensors"):
        try:
            importlib.import_module(module)
        except (ImportError, OSError) as error:
            missing.append(f"{module}: {_line(error)}")
    if missing:
        return Check("geometry", "broken", "; ".join(missing), "pip install -e . (again)")
    return Check("geometry", "ok", "OpenCV, numba, scipy, scikit-image, trimesh, Pillow, libigl, safetensors")


def check_weights() -> Check:
    """The weights that `ncpifu reconstruct` takes without --weights."""
    from ncpifu_cli.stages.weights import find_weights, released_weights

    try:
        path = find_weights()
    except NcpifuError as error:
        return Check("weights", "broken", error.message, error.hint)
    others = [name for name, file in released_weights().items() if file != path]
    return Check("weights", "ok", f"{path} (sha256 {sha256(path)[:12]})" + (f"; also: {', '.join(others)}" if others else ""))


def check_weights_hashes() -> Check:
    """Released weights against `SHA256SUMS` beside them."""
    good, bad = 0, []
    for folder in artifacts.WEIGHTS_FOLDERS:
        sums = folder / "SHA256SUMS"
        for line in sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else []:
            digest, _, name = line.strip().partition(" ")
            file = folder / name.strip().lstrip("*")
            if not name or not file.is_file():
                continue
            if sha256(file) == digest:
                good += 1
            else:
                bad.append(str(file))
    if bad:
        return Check("weights hashes", "broken", f"changed or damaged: {', '.join(bad)}", "fetch them again: git checkout weights")
    return Check("weights hashes", "ok", f"{good} files match SHA256SUMS") if good else Check("weights hashes", "missing", "no SHA256SUMS beside the weights")


def check_people() -> Check:
    """The networks that find people in photos."""
    from ncpifu_cli.data.blazepose import find_blazepose

    return _own_network(
        "BlazePose", lambda: (find_blazepose() or (None,))[0], "people in photos are found by the matting network alone, and made as one where they touch"
    )


def check_matting() -> Check:
    """The project's own network for masks."""
    from ncpifu_cli.data.matting import find_matting_weights

    return _own_network("matting network", find_matting_weights, "masks only before plain backgrounds")


def check_normals() -> Check:
    """The project's own network for fine detail."""
    from ncpifu_cli.data.normals import find_normal_weights

    return _own_network("normal network", find_normal_weights, "meshes stay without fine detail")


def check_back() -> Check:
    """The project's own network for the colours of the side that a photo does not show."""
    from ncpifu_cli.data.backs import find_back_weights

    return _own_network("back network", find_back_weights, "backs are smooth and have the front's colours, face and all")


def _own_network(name: str, find: Callable[[], Path | None], without: str) -> Check:
    try:
        path = find()
    except NcpifuError as error:
        return Check(name, "broken", error.message, error.hint)
    if path is None:
        return Check(name, "missing", f"not here: {without}", "run from a clone")
    return Check(name, "ok", f"{path} (sha256 {sha256(path)[:12]})")


def check_media() -> Check:
    """Small packages for films, textures and phone photos."""
    absent = [f"{name.replace('_', '-')} ({use})" for name, use in MEDIA_PACKAGES.items() if importlib.util.find_spec(name) is None]
    if absent:
        return Check("media", "missing", f"not installed: {', '.join(absent)}", 'in the clone: pip install -e ".[media]"')
    return Check("media", "ok", ", ".join(f"{name.replace('_', '-')} ({use})" for name, use in MEDIA_PACKAGES.items()))


def check_mask_model() -> Check:
    """rembg and its model file: finer masks on busy backgrounds than our own network's."""
    from ncpifu_cli.data.rembg_model import ALLOWED_MODELS, DOWNLOAD_URL, find_model, wanted_path

    absent = [name for name in REMBG_PACKAGES if importlib.util.find_spec(name) is None]
    if absent:
        return Check("mask model", "missing", f"not installed: {', '.join(absent)}", 'pip install "rembg[cpu]"')
    model = find_model()
    if model is None:
        hint = f"for photos with busy backgrounds: curl -L --create-dirs -o {wanted_path()} {DOWNLOAD_URL}   (176 MB, Apache-2.0)"
        return Check("mask model", "missing", "rembg is installed, but no model file is on disk; none is ever downloaded by itself", hint)
    return Check("mask model", "ok", f"{model[0]} ({ALLOWED_MODELS[model[0]]}) in {model[1]}")


def check_opengl() -> Check:
    """OpenGL for `ncpifu render` (the raster renderer needs none)."""
    from ncpifu_cli.data.renderer_pyrender import gl_problem

    problem = gl_problem()
    if problem is None:
        return Check("OpenGL", "ok", "pyrender draws off-screen through EGL")
    return Check(
        "OpenGL", "missing", problem, "`ncpifu render` uses its own rasteriser instead; for OpenGL: apt-get install --no-install-recommends libegl1 libgl1"
    )


def check_bodies() -> Check:
    """anny and its prepared data for `ncpifu synth`."""
    absent = [name for name in ("anny", "warp") if importlib.util.find_spec(name) is None]
    if absent:
        return Check("synthetic humans", "missing", f"not installed: {', '.join(absent)}", 'for `ncpifu synth`: pip install -e ".[synth]" in the clone')
    from ncpifu_cli.synth.body import cache_folder, is_cached

    folder: Path = cache_folder()
    if not is_cached():
        return Check("synthetic humans", "ok", f"anny is installed; the first `ncpifu synth` prepares about 1 GB in {folder}")
    return Check("synthetic humans", "ok", f"anny is installed and prepared in {folder}")


def check_tensorboard() -> Check:
    """Curves while training."""
    if importlib.util.find_spec("tensorboard") is None:
        return Check("tensorboard", "missing", "not installed", 'for curves while training: pip install -e ".[train]" in the clone')
    return Check("tensorboard", "ok", "installed")


def check_cluster() -> Check:
    """Ray, for --engine ray."""
    if importlib.util.find_spec("ray") is None:
        return Check("cluster", "missing", "Ray is not installed", 'for --engine ray: pip install -e ".[cluster]" in the clone')
    return Check("cluster", "ok", "Ray is installed")


def _line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
