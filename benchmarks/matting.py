"""The matting network from nothing to its numbers: `python benchmarks/matting.py backgrounds | train | score` (docs/matting.md).

`score` compares, on composites of held-out people before held-out backgrounds, the network with several ways to bring it to full size, GrabCut alone and
GrabCut with the true box. CPU seconds are counted, on one thread, since other work on the machine then matters little.
"""

import argparse
import base64
import re
import time
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.cli.console import RichReporter
from ncpifu_cli.data import grabcut, matting
from ncpifu_cli.data.backdrops import Backdrops
from ncpifu_cli.data.composites import Compositor, find_views

Mask = NDArray[np.bool_]
HELD_OUT_PANORAMAS = ("city", "lobby", "workshop")
LABELS = re.compile(r"/(can|soda|cereal|lemon)\.png")  # brands, and a fruit


def backgrounds(packages: Path, output: Path) -> None:
    """Unpack the pictures that the released weights were trained with from the packages named in docs/matting.md, all lying in one folder."""
    for name in ("train", "held_out"):
        (output / name).mkdir(parents=True, exist_ok=True)

    def save(name: str, picture: NDArray, side: int, held_out: bool = False) -> None:
        factor = min(1.0, side / max(picture.shape[:2]))
        small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(output / ("held_out" if held_out else "train") / f"{name}.jpg"), small, [cv2.IMWRITE_JPEG_QUALITY, 92])

    for path in sorted(packages.glob("package/hdri/*.exr.js")):  # @pmndrs/assets, unpacked
        name = path.name.split(".")[0]
        save(f"pano-{name}", _tone_mapped(base64.b64decode(re.search(r"base64,([\w+/=]+)", path.read_text())[1])), 512, name in HELD_OUT_PANORAMAS)
    for wheel in sorted(packages.glob("*.whl")):  # robosuite, scikit-learn, scikit-image
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if re.search(r"datasets/images/(china|flower)\.jpg|skimage/data/(coffee|chelsea|brick|grass|gravel|rocket)\.(png|jpg)", name):
                    save(f"photo-{Path(name).stem}", cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_COLOR), 1024)
                elif "robosuite/models/assets/textures/" in name and name.endswith(".png") and not LABELS.search(name):
                    save(f"texture-{Path(name).stem}", cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_COLOR), 640)
    for path in sorted(packages.glob("**/backgrounds/mate/nature/*.jpg")):  # mate-backgrounds, unpacked; only ever judged on
        save(f"photo-{path.stem.lower()}", cv2.imread(str(path)), 1024, held_out=True)


def _tone_mapped(exr: bytes) -> NDArray[np.uint8]:
    import tempfile

    import OpenEXR  # pip install OpenEXR; only here

    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        file.write(exr)
        file.flush()
        with OpenEXR.File(file.name) as image:
            channels = image.channels()
            light = next(iter(channels.values())).pixels.astype(np.float32)[..., 2::-1]
    light = light / np.percentile(light.mean(-1), 70) * 0.5
    return np.clip(255 * np.clip(light / (1 + 0.35 * light), 0, None) ** (1 / 2.2), 0, 255).astype(np.uint8)


def train(renders: Path, pictures: Path, run: Path, minutes: float, start: Path | None) -> None:
    """Coarse pictures for 80 % of the time, finer ones for the rest; from scratch or on from `start`."""
    from ncpifu_cli.stages.train_matting import COARSE, train_matting

    common = {"backgrounds": pictures / "train", "held_out_backgrounds": pictures / "held_out", "steps": 100_000, "reporter": RichReporter()}
    coarse = train_matting(renders, run / "coarse", start=start, shapes=COARSE, limit_seconds=60 * 0.8 * minutes, **common)
    train_matting(renders, run / "fine", start=coarse, seed=1, learning_rate=6e-4, limit_seconds=60 * 0.2 * minutes, **common)


def score(renders: Path, pictures: Path, count: int, size: tuple[int, int] = (640, 480)) -> None:
    """Print a row for each method, and how well the network's confidence tells good masks from bad ones."""
    compositor = Compositor(find_views(renders, held_out=True), Backdrops(pictures / "held_out", families=()), pool=64)
    rng = np.random.default_rng(7)
    results: dict[str, list[float]] = {}
    seconds: dict[str, float] = {}
    confidences = []
    while len(confidences) < count:
        composite = compositor.draw(rng, *size)
        truth, counted = composite.alpha > 0.5, composite.weight > 0.5
        if truth.mean() < 0.02:
            continue
        confidences.append(matting.estimate_mask(composite.rgb).confidence)
        for name, method in _methods(truth).items():
            began = time.process_time()
            found = method(composite.rgb) & counted
            seconds[name] = seconds.get(name, 0) + time.process_time() - began
            results.setdefault(name, []).append(float((found & truth).sum() / (found | truth & counted).sum()))
    print("| method | IoU median | mean | under 0.5 | over 0.9 | CPU s |\n|---|---|---|---|---|---|")
    for name, values in results.items():
        iou = np.array(values)
        print(f"| {name} | {np.median(iou):.3f} | {iou.mean():.3f} | {(iou < 0.5).mean():.0%} | {(iou > 0.9).mean():.0%} | {seconds[name] / count:.2f} |")
    _calibration(np.array(confidences), np.array(next(iter(results.values()))))


def _methods(truth: Mask) -> dict[str, Callable[[NDArray[np.uint8]], Mask]]:
    x, y, w, h = cv2.boundingRect(truth.astype(np.uint8))
    return {
        "network": lambda rgb: matting.estimate_mask(rgb).alpha > 0.5,
        "network, one look": _one_look,
        "network without GrabCut": _uncut,
        "network, true box": lambda rgb: matting.estimate_mask(rgb, box=(x, y, w, h)).alpha > 0.5,
        "GrabCut, true box": lambda rgb: grabcut.box_grabcut(rgb, (x, y, w, h)),
        "GrabCut, smooth background": lambda rgb: grabcut.smooth_background(rgb, always=True).mask,
        "GrabCut, guess": grabcut.guess,
    }


def _one_look(rgb: NDArray[np.uint8]) -> Mask:
    looks, matting.LOOKS = matting.LOOKS, 1
    try:
        return matting.estimate_mask(rgb).alpha > 0.5
    finally:
        matting.LOOKS = looks


def _uncut(rgb: NDArray[np.uint8]) -> Mask:
    """The network's own mask, its edge moved by the guided filter alone."""
    strayed, matting.STRAYED = matting.STRAYED, float("inf")
    try:
        return matting.estimate_mask(rgb).alpha > 0.5
    finally:
        matting.STRAYED = strayed


def _calibration(confidence: NDArray[np.float64], iou: NDArray[np.float64]) -> None:
    ranks = [np.argsort(np.argsort(values)) for values in (confidence, iou)]
    print(f"\nconfidence against IoU: rank correlation {np.corrcoef(*ranks)[0, 1]:.2f}\n")
    print("| confidence | share | IoU median | IoU under 0.7 |\n|---|---|---|---|")
    edges = (0, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 1.01)
    for low, high in pairwise(edges):
        part = iou[(confidence >= low) & (confidence < high)]
        if len(part):
            print(f"| {low} to {min(high, 1)} | {len(part) / len(iou):.0%} | {np.median(part):.3f} | {(part < 0.7).mean():.0%} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("backgrounds", "train", "score"))
    parser.add_argument("--packages", type=Path, default=Path("data/packages"), help="folder with the packages named in docs/matting.md")
    parser.add_argument("--backgrounds", type=Path, default=Path("data/backgrounds"))
    parser.add_argument("--renders", type=Path, default=Path("data/renders"))
    parser.add_argument("--run", type=Path, default=Path("data/runs/matting"))
    parser.add_argument("--minutes", type=float, default=70)
    parser.add_argument("--start", type=Path, help="weights to go on from")
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    if options.task == "backgrounds":
        backgrounds(options.packages, options.backgrounds)
    elif options.task == "train":
        train(options.renders, options.backgrounds, options.run, options.minutes, options.start)
    else:
        score(options.renders, options.backgrounds, options.count)
