"""Photographs whose answer is known: rendered people who were never trained on, before busy backgrounds, through the whole of `reconstruct`.

    python benchmarks/composites.py --scans data/scans --look pictures/     # prints the tables of docs/reconstruct.md

Each person is lit by a random environment, pasted into a drawn room, street, thicket or clutter (or a picture of --backgrounds), and gets the faults of a
camera and of JPEG. The photo goes through masking, framing, network, surface and colours as any photo does; rembg has no model. The mesh goes back onto the
photo's pixels and from there into the frame of the truth, so a wrong mask, a wrong scale and a wrong frame all cost; the perspective that was taken out
of the mesh comes back on that way. Photos that end at the knees or the hips
are judged by what is in them.
"""

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from ncpifu_cli.data import light as lighting
from ncpifu_cli.data import prt
from ncpifu_cli.data.backdrops import Backdrops
from ncpifu_cli.data.composites import camera as camera_faults
from ncpifu_cli.data.framing import without_fringe
from ncpifu_cli.data.renderer_raster import RasterRenderer
from ncpifu_cli.data.scans import find_scans, read_scan
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry import metrics
from ncpifu_cli.geometry.camera import HALF_EXTENT_M, SUBJECT_HEIGHT_M, Camera
from ncpifu_cli.geometry.mesh import Scan
from ncpifu_cli.geometry.surface import sample_surface
from ncpifu_cli.stages.pictures import write_png
from ncpifu_cli.stages.preview import preview_picture
from ncpifu_cli.stages.reconstruct import LoadedModel, Reconstruction, load_model, reconstruct

PHOTO_PX = (720, 960)  # width, height
BUSY = ("room", "street", "foliage", "clutter")
CUTS = {"feet": 0.0, "knees": 0.28, "hips": 0.50, "waist": 0.60}  # share of the height that is below the picture
POINTS = 5000


@dataclass(frozen=True)
class Person:
    """A composite. Attributes: name; rgb (H, W, 3) uint8; mask (H, W) bool; vertices (V, 3) of the truth in the camera's frame, metres; faces of its outside;
    place: left, top and side of the square of the rendering, in pixels."""

    name: str
    rgb: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]
    place: tuple[int, int, int]

    def row_of(self, share: float) -> int:
        """The pixel row that has `share` of the person's height below it."""
        y_m = SUBJECT_HEIGHT_M * (share - 0.5)
        return round(self.place[1] + (1 - y_m / HALF_EXTENT_M) * self.place[2] / 2)

    def to_truth(self, result: Reconstruction) -> NDArray[np.float64]:
        """(V, 3) the mesh in the frame of the truth, metres: by way of the photo's pixels; depth at the mesh's own scale."""
        left, top, side = self.place
        ndc, px = result.to_ndc(result.mesh.vertices), result.to_photo_px(result.mesh.vertices)
        x, y = 2 * (px[:, 0] - left) / side - 1, 1 - 2 * (px[:, 1] - top) / side
        return np.stack([x, y, ndc[:, 2] * 2 * result.view.camera.half_extent_px / side], axis=1) * HALF_EXTENT_M


def compose(scan: Scan, backdrops: Backdrops, rng: np.random.Generator) -> Person:
    """One person before one background."""
    view = Camera(float(rng.uniform(-45, 45)))
    width, height = PHOTO_PX
    share = rng.uniform(0.6, 0.92)
    side = round(share * height / SUBJECT_HEIGHT_M * 2 * HALF_EXTENT_M)
    left = round(width * rng.uniform(0.4, 0.6) - side / 2)
    top = round(rng.uniform(0.3, 0.9) * (1 - share) * height - (side - share * height) / 2)
    renderer = RasterRenderer(side)
    renderer.load(scan)
    drawn = renderer.view(view, lighting.shading(prt.unshadowed(scan.normals), lighting.environment(rng), view.rotation))
    colours = without_fringe(drawn.rgb, drawn.mask.astype(np.uint8) * 255)
    shift = np.array([[1, 0, left], [0, 1, top]], np.float64)
    rgb = cv2.warpAffine(colours, shift, PHOTO_PX, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    cover = cv2.warpAffine(cv2.GaussianBlur(drawn.mask.astype(np.float32), (0, 0), 0.8), shift, PHOTO_PX)
    behind = cv2.resize(np.asarray(backdrops.draw(rng, height // 2, width // 2), np.float32), PHOTO_PX)
    photo = camera_faults(rng, rgb * cover[..., None] + behind * (1 - cover[..., None]))
    outer = metrics.outer_faces(scan.vertices, scan.faces, scan.inside_test)
    return Person(scan.name, photo, cover >= 0.5, view.world_to_ndc(scan.vertices).astype(np.float64) * HALF_EXTENT_M, scan.faces[outer], (left, top, side))


def distances_cm(person: Person, result: Reconstruction, lowest_m: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances in cm from samples of the mesh to the truth, and from samples of the truth to the mesh, both above `lowest_m` in the frame of the truth."""
    rng = np.random.default_rng(0)
    vertices, faces = person.to_truth(result), np.asarray(result.mesh.faces)
    mine, true = (sample_surface(v, f, POINTS, rng).points for v, f in ((vertices, faces), (person.vertices, person.faces)))
    mine, true = (points[points[:, 1] > lowest_m + 0.03] for points in (mine, true))  # not the lid where the photo ends
    return 100 * metrics.SurfaceTree(person.vertices, person.faces).distance_m(mine), 100 * metrics.SurfaceTree(vertices, faces).distance_m(true)


def run(person: Person, cut: str, model: LoadedModel, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One photo through everything; what there is to say about it."""
    below = CUTS[cut]
    rows = person.row_of(below) if below else person.rgb.shape[0]
    photo = folder / f"{person.name}_{cut}.jpg"
    cv2.imwrite(str(photo), person.rgb[:rows, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    truth = folder / f"{person.name}_{cut}_mask.png"
    write_png((person.mask[:rows] * np.uint8(255))[..., None].repeat(3, 2), truth)
    row: dict[str, Any] = {"name": person.name, "cut": cut, "shown": 1 - below}
    lowest_m = SUBJECT_HEIGHT_M * (below - 0.5) if below else -9.0
    for given in (None, truth):
        started = time.process_time()
        try:
            result = reconstruct(photo, model, mask=given, resolution=options.resolution, confidence=True)
        except NcpifuError as error:  # refused: counted, not hidden
            row["refused"] = error.message
            continue
        to_truth, to_mesh = distances_cm(person, result, lowest_m)
        mask = result.prepared.mask
        row |= {
            f"chamfer_{'found' if given is None else 'true'}": (to_truth.mean() + to_mesh.mean()) / 2,
            f"shown_{'found' if given is None else 'true'}": mask.shown,
        }
        if given is None:
            row |= {
                "source": mask.source,
                "sure": mask.confidence,
                "iou": metrics.mask_iou(mask.binary, person.mask[:rows]),
                "cpu_s": time.process_time() - started,
            }
            if options.look is not None:
                write_png(preview_picture(result, 256), options.look / f"{person.name}_{cut}.png")
        elif not below:
            row["confidence"] = result.confidence
            row["error_cm"] = 100 * metrics.SurfaceTree(person.vertices, person.faces).distance_m(person.to_truth(result))
    return row


def print_tables(rows: list[dict[str, Any]]) -> None:
    """Medians by what the photos show, and the mean error by confidence."""
    print("| photo ends at the | refused | mask IoU, median (lowest) | share shown, true | by the outline | Chamfer cm | with the true mask | CPU s |")
    print("|---|---|---|---|---|---|---|---|")
    for cut, below in CUTS.items():
        here = [row for row in rows if row["cut"] == cut]
        found = [row for row in here if "chamfer_found" in row]
        if found:
            iou, chamfer, cpu_s = (np.array([row[key] for row in found]) for key in ("iou", "chamfer_found", "cpu_s"))
            shown, true = (np.median([row[key] for row in here]) for key in ("shown_true", "chamfer_true"))
            print(
                f"| {cut} | {len(here) - len(found)} of {len(here)} | {np.median(iou):.3f} ({iou.min():.3f}) | {1 - below:.2f} | {shown:.2f} "
                f"| {np.median(chamfer):.2f} | {true:.2f} | {np.median(cpu_s):.1f} |"
            )
    measured = [row for row in rows if "error_cm" in row]
    if measured:
        confidence, error = (np.concatenate([row[key] for row in measured]) for key in ("confidence", "error_cm"))
        print(f"\nrank correlation of confidence and closeness: {-spearmanr(confidence, error)[0]:.2f}\n")
        print("| confidence | mean distance to the truth, cm | within 2 cm |\n|---|---|---|")
        for part in np.array_split(np.argsort(confidence), 10):
            print(f"| {confidence[part].min():.2f} to {confidence[part].max():.2f} | {error[part].mean():.2f} | {(error[part] < 2).mean():.0%} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=Path, nargs="+", default=[Path("data/scans")], help="folders of people; those named test-... are used")
    parser.add_argument("--backgrounds", type=Path, default=None, help="pictures without people in place of the drawn ones")
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--weights", default=None)
    parser.add_argument("--cut", nargs="*", choices=tuple(CUTS), default=["feet", "knees", "hips"])
    parser.add_argument("--look", type=Path, default=None, help="folder for photos and previews")
    options = parser.parse_args()
    sources = [source for folder in options.scans for source in find_scans(folder) if source.name.startswith("test-")][: options.count]
    backdrops = Backdrops(options.backgrounds, None if options.backgrounds else BUSY)
    model = load_model(options.weights, device="cpu")
    if options.look is not None:
        options.look.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        os.environ |= {"U2NET_HOME": temporary, "REMBG_HOME": temporary}
        for number, source in enumerate(sources):
            person = compose(read_scan(source), backdrops, np.random.default_rng([7, number]))
            for cut in options.cut:
                rows.append(run(person, cut, model, options, options.look or Path(temporary)))
                print({key: value for key, value in rows[-1].items() if not isinstance(value, np.ndarray)}, file=sys.stderr, flush=True)
    print_tables(rows)


if __name__ == "__main__":
    main()
