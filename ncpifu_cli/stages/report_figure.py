"""The picture of a report: photo, every method from the front, the side and with its error, and the truth. Drawn with the z-buffer and OpenCV."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import atomic_path
from ncpifu_cli.data.scans import read_scan
from ncpifu_cli.geometry import metrics
from ncpifu_cli.geometry.camera import HALF_EXTENT_M, Camera, rotation_y
from ncpifu_cli.geometry.inside import InsideTest
from ncpifu_cli.geometry.raster import interpolate, rasterise
from ncpifu_cli.geometry.surface import vertex_normals
from ncpifu_cli.progress import SILENT
from ncpifu_cli.stages.eval_inputs import draw_inputs, input_path, read_input
from ncpifu_cli.stages.eval_score import Mesh, SubjectTask, item_name, read_mesh
from ncpifu_cli.stages.report import Report

FILE_NAME = "figure.png"
TILE_PX = 360
OVERSAMPLING = 2
PHOTO_PX = 512  # drawn where no network has asked for photos
ERROR_LIMIT_CM = 5.0
SIDE_DEG = 90.0
HEADER_PX, FOOTER_PX, BAR_PX, MARGIN_PX = 44, 30, 130, 8
WHITE, INK, FAINT = (255, 255, 255), (30, 30, 30), (110, 110, 110)
LIGHT = np.array([-0.35, 0.45, 0.82]) / np.linalg.norm([-0.35, 0.45, 0.82])  # over the viewer's left shoulder
CLAY = np.array([205.0, 200.0, 192.0])

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Tile:
    """One cell. Attributes: image (TILE_PX, TILE_PX, 3) uint8 RGB on white. title over the column. caption under the cell."""

    image: Image
    title: str
    caption: str = ""


def draw_figure(report: Report, tasks: dict[str, SubjectTask]) -> str:
    """Draw `figure.png` into the report's folder: rows from the best to the worst subject of the first method, in its first view. Returns the file's name."""
    first = report.methods[0].name
    yaw = report.config.views[0]
    rows = sorted((row for row in report.of(first) if row["view_deg"] == yaw), key=lambda row: row["chamfer_cm"])
    picks = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), report.config.figure_rows)).round().astype(int))
    tiles = [_row(report, tasks[rows[pick]["subject"]], yaw) for pick in picks]
    image = _compose(tiles)
    done, data = cv2.imencode(".png", image[..., ::-1])
    assert done
    with atomic_path(report.folder / FILE_NAME) as temporary:
        temporary.write_bytes(data.tobytes())
    return FILE_NAME


def _row(report: Report, task: SubjectTask, yaw: float) -> list[Tile]:
    name = task.source.name
    scan = read_scan(task.source, report.config.up)
    truth: Mesh = scan.vertices.astype(np.float64) @ rotation_y(yaw).T, np.asarray(scan.faces, np.int64)
    tree = metrics.SurfaceTree(truth[0], truth[1][metrics.outer_faces(*truth, InsideTest(*truth))])
    tiles = [Tile(_photo(report, task, yaw), "photo", item_name(name, yaw))]
    for method in report.methods:
        row = next(row for row in report.of(method.name) if row["subject"] == name and row["view_deg"] == yaw)
        mesh = task.meshes[method.name, yaw]
        if row["status"] == "failed" or isinstance(mesh, str):
            blank = np.full((TILE_PX, TILE_PX, 3), 255, np.uint8)
            tiles += [Tile(blank, method.name, "failed"), Tile(blank, "side", ""), Tile(blank, "error", "")]
            continue
        vertices, faces = read_mesh(mesh)
        error_cm = tree.distance_m(vertices) * metrics.CM_PER_M
        tiles.append(Tile(_clay((vertices, faces), 0), method.name, f"Chamfer {row['chamfer_cm']:.2f} cm"))
        tiles.append(Tile(_clay((vertices, faces), SIDE_DEG), "side", f"IoU {row['iou']:.3f}"))
        tiles.append(Tile(_heat((vertices, faces), error_cm), "error", f"P2S {row['p2s_vertices_cm']:.2f} cm"))
    return [*tiles, Tile(_clay(truth, 0), "truth"), Tile(_clay(truth, SIDE_DEG), "side")]


def _photo(report: Report, task: SubjectTask, yaw: float) -> Image:
    folder, name = report.folder, task.source.name
    stored = sorted((path for path in (folder / "inputs").glob("*/") if input_path(folder, int(path.name), name, yaw).is_file()), key=lambda p: int(p.name))
    size = int(stored[-1].name) if stored else PHOTO_PX
    if not stored:
        draw_inputs(folder, size, [task.source], report.config, SILENT)
    rgb, mask = read_input(input_path(folder, size, name, yaw))
    return _to_tile(np.where(mask[..., None], rgb, 255).astype(np.uint8))


def _clay(mesh: Mesh, yaw_deg: float) -> Image:
    """The mesh in grey clay."""
    return _shade(mesh, yaw_deg, None)


def _heat(mesh: Mesh, error_cm: NDArray[np.float64]) -> Image:
    """The mesh from the front, coloured by the distance of its vertices to the truth, 0 to `ERROR_LIMIT_CM`."""
    return _shade(mesh, 0, _colours(error_cm))


def _shade(mesh: Mesh, yaw_deg: float, colours: NDArray[np.float32] | None) -> Image:
    vertices, faces = mesh
    rotation = Camera(yaw_deg).rotation
    buffer = rasterise((vertices @ rotation.T / HALF_EXTENT_M).astype(np.float32), faces, TILE_PX * OVERSAMPLING)
    normals = interpolate(buffer, faces, (vertex_normals(vertices, faces) @ rotation.T).astype(np.float32))
    lambert = np.maximum(normals @ LIGHT, 0)[..., None]
    # Flatter light on colours: they must stay readable against the bar.
    image = CLAY * (0.25 + 0.85 * lambert) if colours is None else interpolate(buffer, faces, colours) * (0.7 + 0.35 * lambert)
    image = np.where(buffer.mask[..., None], np.clip(image, 0, 255), 255).astype(np.uint8)
    return _to_tile(image)


def _to_tile(image: Image) -> Image:
    return np.asarray(cv2.resize(image, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA), np.uint8)


def _colours(error_cm: NDArray[np.float64]) -> NDArray[np.float32]:
    """(V,) cm -> (V, 3) float32 RGB in 0..255 of the colour bar."""
    level = np.clip(error_cm / ERROR_LIMIT_CM * 255, 0, 255).round().astype(np.uint8)
    return cv2.applyColorMap(level.reshape(-1, 1), cv2.COLORMAP_TURBO)[:, 0, ::-1].astype(np.float32)


def _compose(rows: list[list[Tile]]) -> Image:
    """All tiles, cut to the widest subject, with titles, captions and the colour bar."""
    used = np.concatenate([np.flatnonzero((tile.image < 250).any(axis=(0, 2))) for row in rows for tile in row] + [np.array([TILE_PX // 2])])
    half = int(min(TILE_PX // 2, max(TILE_PX // 2 - used.min(), used.max() + 1 - TILE_PX // 2, TILE_PX // 5) + MARGIN_PX))
    columns = slice(TILE_PX // 2 - half, TILE_PX // 2 + half)
    height, width = TILE_PX + FOOTER_PX, 2 * half
    canvas = np.full((HEADER_PX + height * len(rows), width * len(rows[0]) + BAR_PX, 3), 255, np.uint8)
    for column, tile in enumerate(rows[0]):
        _text(canvas, tile.title, (column * width + width // 2, HEADER_PX - 14), 0.8, INK)
    for index, row in enumerate(rows):
        top = HEADER_PX + index * height
        for column, tile in enumerate(row):
            canvas[top : top + TILE_PX, column * width : (column + 1) * width] = tile.image[:, columns]
            _text(canvas, tile.caption, (column * width + width // 2, top + TILE_PX + 18), 0.6, FAINT)
    _bar(canvas, canvas.shape[1] - BAR_PX + 20)
    return canvas


def _bar(canvas: Image, left: int) -> None:
    top, height = HEADER_PX + 30, min(300, canvas.shape[0] - HEADER_PX - 60)
    ramp = _colours(np.linspace(ERROR_LIMIT_CM, 0, height)).astype(np.uint8)
    canvas[top : top + height, left : left + 18] = ramp[:, None]
    for tick in range(int(ERROR_LIMIT_CM) + 1):
        y = top + round((1 - tick / ERROR_LIMIT_CM) * (height - 1))
        label = f"{tick}+ cm" if tick == ERROR_LIMIT_CM else f"{tick} cm"
        cv2.putText(canvas, label, (left + 26, y + 5), cv2.FONT_HERSHEY_SIMPLEX, 0.55, INK, 1, cv2.LINE_AA)
    cv2.putText(canvas, "error", (left, top - 12), cv2.FONT_HERSHEY_SIMPLEX, 0.6, INK, 1, cv2.LINE_AA)


def _text(canvas: Image, text: str, centre: tuple[int, int], size: float, colour: tuple[int, int, int]) -> None:
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    cv2.putText(canvas, text, (centre[0] - width // 2, centre[1]), cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
