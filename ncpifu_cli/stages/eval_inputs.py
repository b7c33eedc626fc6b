"""Which subjects are evaluated, and the photos of them that every method gets."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import HELD_OUT_PREFIXES, atomic_path, default_root, sha256
from ncpifu_cli.config.eval import EvalConfig
from ncpifu_cli.data import light as lighting
from ncpifu_cli.data import prt
from ncpifu_cli.data.mesh_files import files_beside
from ncpifu_cli.data.renderer_raster import RasterRenderer
from ncpifu_cli.data.scans import ScanSource, find_scans, read_scan
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import Camera
from ncpifu_cli.progress import Reporter
from ncpifu_cli.stages.eval_methods import item_name
from ncpifu_cli.stages.eval_score import item_rng

SPLITS = Path(__file__).resolve().parent.parent / "data" / "splits"
BUFF_FRAMES = 143  # the paper's number of frames; its list is not published
HOW_TO_GET = {
    "synthetic": "make them with `ncpifu synth`, or give their folder with --data",
    "thuman2": "ask its authors for THuman2.0, unpack it there (0000/0000.obj, ...), or give its folder with --data",
    "buff": "ask its authors for BUFF, unpack it there (sequences/00005/.../*.ply), or give its folder with --data",
    "customhumans": "ask its authors for CustomHumans, unpack it there (mesh/0001_.../mesh-f00001.obj), or give its folder with --data",
    "renderpeople": "buy scans of RenderPeople, unpack them there (rp_..._OBJ/rp_..._100k.obj), or give their folder with --data",
}


@dataclass(frozen=True)
class Subjects:
    """What is evaluated. Attributes: folder of the scans. sources, by name. missing: names of the split that have no scan there."""

    folder: Path
    sources: list[ScanSource]
    missing: list[str]


def find_subjects(config: EvalConfig) -> Subjects:
    """The subjects to evaluate.

    Without a split: `test-*` of our own humans, the shipped test list of THuman2.0, 143 frames of BUFF spread evenly over what is there, all of
    any other data.
    Raises NcpifuError that says what was expected where.
    """
    folder = data_folder(config)
    found = {source.name: source for source in find_scans(folder, config.dataset)}
    wanted = _split(config, sorted(found), folder)[: config.limit]
    missing = [name for name in wanted if name not in found]
    if len(missing) == len(wanted):
        some = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        raise NcpifuError(f"none of the {len(wanted)} subjects of the split is in {folder}: {some}", "give --split FILE with the subjects you have")
    return Subjects(folder, [found[name] for name in wanted if name in found], missing)


def data_folder(config: EvalConfig) -> Path:
    """Where the scans must lie; NcpifuError when they do not."""
    if config.data is not None:
        folder = Path(config.data)
        if not folder.exists():
            raise NcpifuError(f"{folder} does not exist", "--data must name the folder of the scans")
        return folder
    if config.dataset == "folder":
        raise NcpifuError("--dataset folder needs --data", "give the folder of your scans: <subject>.obj, .ply, .glb, .drc or one folder each")
    folder = default_root() / ("scans" if config.dataset == "synthetic" else config.dataset)
    if not folder.is_dir():
        raise NcpifuError(f"no {config.dataset} scans: expected them in {folder}", HOW_TO_GET[config.dataset])
    return folder


def _split(config: EvalConfig, found: list[str], folder: Path) -> list[str]:
    """Names in order; those of a list need not be among the found ones."""
    split = config.split
    if split == "all" or (split is None and config.dataset not in ("synthetic", "thuman2", "buff")):
        return found
    if config.dataset == "synthetic" and (split is None or f"{split}-" in HELD_OUT_PREFIXES):
        prefix = f"{split or 'test'}-"
        chosen = [name for name in found if name.startswith(prefix)]
        if not chosen:
            making = "`ncpifu synth`" if split is None else f"`ncpifu synth --split {split}`"
            raise NcpifuError(f"none of the {len(found)} scans in {folder} is called {prefix}*", f"{making} makes them; --split all takes all {len(found)}")
        return chosen
    if config.dataset == "buff" and split is None:
        spread = np.linspace(0, len(found) - 1, min(len(found), BUFF_FRAMES)).round().astype(int)
        return [found[index] for index in spread]
    return sorted(read_split(split or "thuman2_test"))


def read_split(name: str) -> list[str]:
    """Subject names of a list: a file, or the name of a shipped one; lines that start with # are comments."""
    path = Path(name) if Path(name).is_file() else SPLITS / f"{name}.txt"
    if not path.is_file():
        shipped = ", ".join(sorted(file.stem for file in SPLITS.glob("*.txt")))
        raise NcpifuError(f"no split {name!r}", f"give a text file of subject names, 'all', or one of: {shipped}")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise NcpifuError(f"{path} is not readable text: {error}") from error
    names = [line for line in lines if line and not line.startswith("#")]
    if len(names) != len(set(names)):
        raise NcpifuError(f"{path} names a subject twice")
    if not names:
        raise NcpifuError(f"{path} names no subject")
    return names


def scan_hash(source: ScanSource) -> str:
    """Changes with any of the scan's files."""
    return "".join(sha256(path) for path in (source.path, *([source.texture] if source.texture else []), *files_beside(source.path)))


def input_path(folder: Path, size_px: int, subject: str, yaw_deg: float) -> Path:
    """Where the photo of one view lies: PNG, colour on black, the mask as its alpha channel."""
    return folder / "inputs" / str(size_px) / f"{item_name(subject, yaw_deg)}.png"


def draw_inputs(folder: Path, size_px: int, sources: list[ScanSource], config: EvalConfig, reporter: Reporter) -> dict[str, str]:
    """Draw the photos that are not on disk yet, lit as `render` lights them, each with a light of its own fixed by the seed.

    Returns subject -> reason for the scans that cannot be read.
    """
    missing = {source: [yaw for yaw in config.views if not input_path(folder, size_px, source.name, yaw).is_file()] for source in sources}
    todo = {source: yaws for source, yaws in missing.items() if yaws}
    problems: dict[str, str] = {}
    if not todo:
        return problems
    renderer = RasterRenderer(size_px)
    with reporter.task(f"photos at {size_px} px", len(todo)) as task:
        for source, yaws in todo.items():
            try:
                scan = read_scan(source, config.up)
            except NcpifuError as error:
                problems[source.name] = error.message
                task.advance(1, source.name)
                continue
            renderer.load(scan)
            transfer = None if scan.shaded else prt.bake(scan.vertices, scan.faces, scan.normals)
            for yaw in yaws:
                camera = Camera(yaw)
                light = lighting.environment(item_rng(config.seed, source.name, yaw, "light"))
                on_vertices = np.ones_like(scan.vertices) if transfer is None else lighting.shading(transfer, light, camera.rotation)
                view = renderer.view(camera, on_vertices)
                _write_rgba(input_path(folder, size_px, source.name, yaw), view.rgb, view.mask)
            task.advance(1, source.name)
    return problems


def read_input(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """(S, S, 3) uint8 RGB, black background, and the (S, S) mask of a stored photo."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[2] != 4:
        raise NcpifuError(f"{path} is not a photo that `eval` wrote", "delete it and run again")
    return np.ascontiguousarray(image[..., 2::-1], np.uint8), image[..., 3] > 127


def _write_rgba(path: Path, rgb: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
    alpha = np.where(mask, 255, 0).astype(np.uint8)
    _, data = cv2.imencode(".png", np.dstack([rgb[..., ::-1], alpha]))
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.tobytes())
