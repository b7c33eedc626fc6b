"""The picture of a report, like the paper's figure 2: photo, every method, the truth; from the front, from the side, and coloured by error."""

from dataclasses import dataclass

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
from ncpifu_cli.stages.eval_score import Mesh, Row, SubjectTask, item_rng, measure_truth, place_mesh
from ncpifu_cli.stages.report import Report
from ncpifu_cli.stages.report_page import Picture

FILE_NAME = "figure.png"
TILE_PX = 380
ROWS = slice(round(TILE_PX * 0.045), round(TILE_PX * 0.955))  # a subject fills the middle 88 % of the picture
OVERSAMPLING = 2
PHOTO_PX = 512  # drawn where no network has asked for photos
DPI = 150
HEADER_IN, CAPTION_IN, FOOTER_IN, BAR_IN = 0.22, 0.2, 0.6, 3.2  # inches
ERROR_LIMIT_CM = 5.0
SIDE_DEG = 90.0
COLOUR_MAP = "turbo"
LIGHT = np.array([-0.35, 0.45, 0.82]) / np.linalg.norm([-0.35, 0.45, 0.82])  # over the viewer's left shoulder
CLAY = np.array([205.0, 200.0, 192.0])

Image = NDArray[np.uint8]
Tile = Image | str  # (TILE_PX, TILE_PX, 3) uint8 RGB on white, or a word in its place


@dataclass(frozen=True)
class Column:
    """One subject's tiles under one heading. Attributes: title. tiles: front, side, error. captions under them."""

    title: str
    tiles: tuple[Tile, Tile, Tile]
    captions: tuple[str, str, str]


def draw_figure(report: Report, tasks: dict[str, SubjectTask]) -> Picture:
    """Draw `figure.png`: subjects from the best to the worst of the first method, in its first view, three lines each."""
    first, yaw = report.methods[0].name, report.config.views[0]
    ranked = sorted((row for row in report.of(first) if row["view_deg"] == yaw), key=lambda row: row["chamfer_cm"])
    picks = np.unique(np.linspace(0, len(ranked) - 1, min(len(ranked), report.config.figure_rows)).round().astype(int))
    blocks = [_subject(report, tasks[ranked[pick]["subject"]], yaw, _rank(int(pick), len(ranked))) for pick in picks]
    _compose(blocks, report)
    caption = (
        f"Subjects from the best to the worst Chamfer distance of `{first}`: from the front, from the right side, and coloured by the distance to the other "
        f"surface. Errors on a method's surface are distances to the truth; on the truth, to the surface of `{first}`, which shows what is missing."
    )
    return Picture(report.folder / FILE_NAME, caption)


def _rank(index: int, count: int) -> str:
    names = {0: "best", count - 1: "worst", (count - 1) // 2: "median"} if count > 2 else {0: "best", count - 1: "worst"} if count > 1 else {}
    return f"{names[index]} of {count}" if index in names else f"{index + 1} of {count}"


def _subject(report: Report, task: SubjectTask, yaw: float, rank: str) -> list[Column]:
    name, config = task.source.name, report.config
    scan = read_scan(task.source, config.up)
    mesh: Mesh = scan.vertices.astype(np.float64) @ rotation_y(yaw).T, np.asarray(scan.faces, np.int64)
    # The same streams as in scoring: an aligned mesh is drawn where it was measured.
    truth = measure_truth(*mesh, metrics.outer_faces(*mesh, InsideTest(*mesh)), config, item_rng(config.seed, name, yaw, "truth"))
    columns, first_tree = [Column("photo", (_photo(report, task, yaw), "from the right", "error"), (f"{name}\n{rank}", "", ""))], None
    for method in report.methods:
        row = next(row for row in report.of(method.name) if row["subject"] == name and row["view_deg"] == yaw)
        try:
            prediction, _ = place_mesh(task.meshes[method.name, yaw], truth, config, item_rng(config.seed, name, yaw, "prediction"), scan, yaw)
        except NcpifuError:
            columns.append(Column(method.name, ("failed", "failed", "failed"), ("", "", "")))
            continue
        columns.append(Column(method.name, _three(prediction, truth.surface.tree), _scores(row)))
        first_tree = first_tree or metrics.SurfaceTree(*prediction)
    truth_tiles: tuple[Tile, Tile, Tile] = _three(mesh, first_tree) if first_tree else (_shade(mesh, 0), _shade(mesh, SIDE_DEG), "")
    return [*columns, Column("truth", truth_tiles, ("", "", ""))]


def _scores(row: Row) -> tuple[str, str, str]:
    return f"silhouette IoU {row['silhouette_iou']:.3f}", f"volume IoU {row['iou']:.3f}", f"Chamfer {row['chamfer_cm']:.2f} cm"


def _three(mesh: Mesh, other: metrics.SurfaceTree) -> tuple[Tile, Tile, Tile]:
    return _shade(mesh, 0), _shade(mesh, SIDE_DEG), _shade(mesh, 0, _colours(other.distance_m(mesh[0]) * metrics.CM_PER_M))


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
    return np.asarray(cv2.resize(image, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA), np.uint8)


def _colours(error_cm: NDArray[np.float64]) -> NDArray[np.float32]:
    """(V,) cm -> (V, 3) float32 RGB in 0..255 of the colour bar."""
    import matplotlib

    return matplotlib.colormaps[COLOUR_MAP](np.clip(error_cm / ERROR_LIMIT_CM, 0, 1))[:, :3].astype(np.float32) * 255


def _compose(blocks: list[list[Column]], report: Report) -> None:
    """All subjects below each other, tiles cut to the widest one, with titles, captions and the colour bar."""
    import matplotlib
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    crop = _crop([tile for block in blocks for column in block for tile in column.tiles if not isinstance(tile, str)])
    width, height = (crop.stop - crop.start) / DPI, (ROWS.stop - ROWS.start) / DPI
    page_width, page_height = width * len(blocks[0]), HEADER_IN + 3 * len(blocks) * (height + CAPTION_IN) + FOOTER_IN
    with matplotlib.rc_context({"font.family": "sans-serif", "font.size": 8}):
        figure = Figure(figsize=(page_width, page_height), dpi=DPI)
        for row, block in enumerate(blocks):
            for index, column in enumerate(block):
                for line, (tile, caption) in enumerate(zip(column.tiles, column.captions, strict=True), start=3 * row):
                    bottom = page_height - HEADER_IN - line * (height + CAPTION_IN) - height
                    axes = figure.add_axes((index * width / page_width, bottom / page_height, width / page_width, height / page_height))
                    axes.axis("off")
                    if isinstance(tile, str):
                        axes.text(0.5, 0.5, tile, ha="center", va="center", color="#57606a")
                    else:
                        axes.imshow(tile[ROWS, crop], interpolation="none")
                    axes.text(0.5, 0, caption, transform=axes.transAxes, ha="center", va="top", color="#57606a", fontsize=7)
                    if line == 0:
                        axes.set_title(column.title, fontsize=9, pad=4)
        bar_width = min(0.8, BAR_IN / page_width)
        bar = figure.add_axes((0.5 - bar_width / 2, 0.36 / page_height, bar_width, 0.1 / page_height))
        colours = ScalarMappable(Normalize(0, ERROR_LIMIT_CM), COLOUR_MAP)
        figure.colorbar(colours, cax=bar, orientation="horizontal", extend="max", label="distance to the other surface (cm)")
        with atomic_path(report.folder / FILE_NAME) as temporary:
            figure.savefig(temporary, dpi=DPI)


def _crop(tiles: list[Image]) -> slice:
    """The columns, around the middle, that hold something in any tile."""
    used = np.flatnonzero(np.any([(tile < 250).any(axis=(0, 2)) for tile in tiles], axis=0))
    reach = max(TILE_PX // 2 - used.min(), used.max() + 1 - TILE_PX // 2, TILE_PX // 4) + 6
    half = int(min(TILE_PX // 2, reach))
    return slice(TILE_PX // 2 - half, TILE_PX // 2 + half)
