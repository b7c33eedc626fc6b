"""The picture of a report, like the paper's figure 2: photo, every method, the truth; each from the front, from the side, and coloured by error."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import atomic_path
from ncpifu_cli.data.scans import read_scan
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry import metrics
from ncpifu_cli.geometry.camera import HALF_EXTENT_M, Camera, rotation_y
from ncpifu_cli.geometry.inside import InsideTest
from ncpifu_cli.geometry.raster import interpolate, rasterise
from ncpifu_cli.geometry.surface import vertex_normals
from ncpifu_cli.progress import SILENT
from ncpifu_cli.stages.eval_inputs import draw_inputs, input_path, read_input
from ncpifu_cli.stages.eval_meshes import Mesh, load_prediction, place
from ncpifu_cli.stages.eval_score import SubjectTask, item_rng
from ncpifu_cli.stages.report import Report
from ncpifu_cli.stages.report_page import Picture

FILE_NAME = "figure.png"
TILE_PX = 380
ROWS = slice(round(TILE_PX * 0.045), round(TILE_PX * 0.955))  # a subject fills the middle 88 % of the picture
OVERSAMPLING = 2
PHOTO_PX = 512  # drawn where no network has asked for photos
DPI = 200
HEADER_IN, CAPTION_IN, FOOTER_IN, BAR_IN, GAP_IN = 0.42, 0.3, 0.55, 3.2, 0.12  # inches
MIN_TILE_IN = 0.85  # wide enough for the words over it
ERROR_LIMIT_CM = 5.0
SIDE_DEG = 90.0
COLOUR_MAP = "turbo"
INK, FAINT = "#1b1f24", "#57606a"
LIGHT = np.array([-0.35, 0.45, 0.82]) / np.linalg.norm([-0.35, 0.45, 0.82])  # over the viewer's left shoulder
CLAY = np.array([205.0, 200.0, 192.0])

Image = NDArray[np.uint8]  # (TILE_PX, TILE_PX, 3) RGB on white


@dataclass(frozen=True)
class Group:
    """One subject's pictures under one heading. Attributes: title. tiles: label -> picture, or None where there is none. caption under them."""

    title: str
    tiles: dict[str, Image | None]
    caption: str


def draw_figure(report: Report, tasks: dict[str, SubjectTask]) -> Picture:
    """Draw `figure.png`: a line for each subject, from the best to the worst of the first method, in its first view."""
    first, yaw = report.methods[0].name, report.config.views[0]
    ranked = sorted((row for row in report.of(first) if row["view_deg"] == yaw), key=lambda row: row["chamfer_cm"])
    picks = np.unique(np.linspace(0, len(ranked) - 1, min(len(ranked), report.config.figure_rows)).astype(int))
    lines = [_subject(report, tasks[ranked[pick]["subject"]], yaw, _rank(int(pick), len(ranked))) for pick in picks]
    _compose(lines, report)
    caption = (
        f"Subjects from the best to the worst Chamfer distance of `{first}`: from the front, from the right side, and coloured by the distance to the other "
        f"surface. Errors on a method's surface are distances to the truth; on the truth, to the surface of `{first}`, which shows what is missing."
    )
    return Picture(report.folder / FILE_NAME, caption)


def _rank(index: int, count: int) -> str:
    names = {(count - 1) // 2: "median", 0: "best", count - 1: "worst"} if count > 2 else {0: "best", count - 1: "worst"} if count > 1 else {}
    return f"{names[index]} of {count}" if index in names else f"{index + 1} of {count}"


def _subject(report: Report, task: SubjectTask, yaw: float, rank: str) -> list[Group]:
    name, config = task.source.name, report.config
    scan = read_scan(task.source, config.up)
    mesh: Mesh = scan.vertices.astype(np.float64) @ rotation_y(yaw).T, np.asarray(scan.faces, np.int64)
    truth = metrics.SurfaceTree(mesh[0], mesh[1][metrics.outer_faces(*mesh, InsideTest(*mesh))])
    groups, first_tree = [Group("", {"photo": _photo(report, task, yaw)}, f"{name}\n{rank}")], None
    for method in report.methods:
        row = next(row for row in report.of(method.name) if row["subject"] == name and row["view_deg"] == yaw)
        try:
            found = load_prediction(task.meshes[method.name, yaw], scan.similarity, yaw)
        except NcpifuError:
            groups.append(Group(method.name, _three(None, None), "failed"))
            continue
        # The same random numbers as in scoring: an aligned mesh is drawn where it was measured.
        prediction, _ = place(found, truth, config.align or "none", item_rng(config.seed, name, yaw, "alignment"))
        groups.append(Group(method.name, _three(prediction, truth), f"Chamfer {row['chamfer_cm']:.2f} cm, IoU {row['iou']:.2f}"))
        first_tree = metrics.SurfaceTree(*prediction) if method is report.methods[0] else first_tree
    return [*groups, Group("truth", _three(mesh, first_tree), "")]


def _three(mesh: Mesh | None, other: metrics.SurfaceTree | None) -> dict[str, Image | None]:
    errors = _colours(other.distance_m(mesh[0]) * metrics.CM_PER_M) if mesh and other else None
    return {
        "front": _shade(mesh, 0) if mesh else None,
        "right": _shade(mesh, SIDE_DEG) if mesh else None,
        "error": _shade(mesh, 0, errors) if mesh and other else None,
    }


def _photo(report: Report, task: SubjectTask, yaw: float) -> Image:
    folder, name = report.folder, task.source.name
    stored = sorted((path for path in (folder / "inputs").glob("*/") if input_path(folder, int(path.name), name, yaw).is_file()), key=lambda p: int(p.name))
    size = int(stored[-1].name) if stored else PHOTO_PX
    if not stored:
        draw_inputs(folder, size, [task.source], report.config, SILENT)
    rgb, mask = read_input(input_path(folder, size, name, yaw))
    return _to_tile(np.where(mask[..., None], rgb, 255).astype(np.uint8))


def _shade(mesh: Mesh, yaw_deg: float, colours: NDArray[np.float32] | None = None) -> Image:
    """The mesh in grey clay, or in `colours` (V, 3), 0..255."""
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
    smooth = cv2.INTER_AREA if len(image) >= TILE_PX else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (TILE_PX, TILE_PX), interpolation=smooth), np.uint8)


def _colours(error_cm: NDArray[np.float64]) -> NDArray[np.float32]:
    """(V,) cm -> (V, 3) float32 RGB in 0..255 of the colour bar."""
    import matplotlib

    return matplotlib.colormaps[COLOUR_MAP](np.clip(error_cm / ERROR_LIMIT_CM, 0, 1))[:, :3].astype(np.float32) * 255


def _compose(lines: list[list[Group]], report: Report) -> None:
    """All subjects below each other, each label's tiles cut to the widest of them, with titles, captions and the colour bar."""
    import matplotlib
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    shown: dict[str, list[Image]] = {}
    for label, tile in (item for line in lines for group in line for item in group.tiles.items()):
        shown.setdefault(label, []).extend([] if tile is None else [tile])
    crops = {label: _crop(tiles) for label, tiles in shown.items()}
    widths = {label: (crop.stop - crop.start) / DPI for label, crop in crops.items()}
    height = (ROWS.stop - ROWS.start) / DPI
    page_width = sum(widths[label] for group in lines[0] for label in group.tiles) + GAP_IN * len(lines[0])
    page_height = HEADER_IN + len(lines) * (height + CAPTION_IN) + FOOTER_IN
    with matplotlib.rc_context({"font.family": "sans-serif", "font.size": 8}):
        figure = Figure(figsize=(page_width, page_height), dpi=DPI)

        def write(x: float, y: float, text: str, **more: Any) -> None:
            figure.text(x / page_width, y / page_height, text, ha="center", **more)

        for number, line in enumerate(lines):
            bottom, left = page_height - HEADER_IN - (number + 1) * height - number * CAPTION_IN, GAP_IN / 2
            for group in line:
                span = sum(widths[label] for label in group.tiles)
                write(left + span / 2, bottom, group.caption, va="top", color=FAINT)
                if number == 0:
                    write(left + span / 2, bottom + height + 0.24, group.title, va="bottom", color=INK, fontsize=10)
                for label, tile in group.tiles.items():
                    if number == 0:
                        write(left + widths[label] / 2, bottom + height + 0.06, label, va="bottom", color=FAINT)
                    if tile is not None:
                        axes = figure.add_axes((left / page_width, bottom / page_height, widths[label] / page_width, height / page_height))
                        axes.axis("off")
                        axes.imshow(tile[ROWS, crops[label]], interpolation="none")
                    left += widths[label]
                left += GAP_IN
        bar_width = min(0.8, BAR_IN / page_width)
        bar = figure.add_axes((0.5 - bar_width / 2, 0.36 / page_height, bar_width, 0.1 / page_height))
        colours = ScalarMappable(Normalize(0, ERROR_LIMIT_CM), COLOUR_MAP)
        figure.colorbar(colours, cax=bar, orientation="horizontal", extend="max", label="distance to the other surface (cm)")
        with atomic_path(report.folder / FILE_NAME) as temporary:
            figure.savefig(temporary, dpi=DPI)


def _crop(tiles: list[Image]) -> slice:
    """The columns, around the middle, that hold something in any tile; what reaches the border (a mesh in another unit) does not count."""
    used = [np.flatnonzero((tile < 250).any(axis=(0, 2))) for tile in tiles]
    reach = [max(TILE_PX // 2 - columns.min(), columns.max() + 1 - TILE_PX // 2) for columns in used if len(columns)]
    wanted = max([MIN_TILE_IN * DPI / 2, *(pixels + 6 for pixels in reach if pixels < TILE_PX // 2)])
    half = min(int(wanted), TILE_PX // 2)
    return slice(TILE_PX // 2 - half, TILE_PX // 2 + half)
