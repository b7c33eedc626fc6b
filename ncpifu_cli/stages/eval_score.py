"""Score meshes on disk against the truth, one subject at a time; runs in worker processes."""

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from ncpifu_cli.artifacts import read_json, sha256, stable_hash, write_json
from ncpifu_cli.config.eval import EvalConfig
from ncpifu_cli.data.scans import ScanSource, read_scan
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry import metrics
from ncpifu_cli.geometry.align import register
from ncpifu_cli.geometry.camera import rotation_y
from ncpifu_cli.geometry.inside import InsideTest
from ncpifu_cli.geometry.mesh import Scan
from ncpifu_cli.geometry.mesh_health import largest_component, mesh_health, mesh_problem
from ncpifu_cli.geometry.protocols import GREY, PROTOCOLS, Comparison, Surface, measure, measure_nothing
from ncpifu_cli.geometry.surface import sample_outer_surface, sample_surface
from ncpifu_cli.stages.eval_methods import MeshFile, item_name, to_camera_metres

SCORES_VERSION = 2  # raise when a number changes its meaning: stored scores are then measured anew
SETTINGS = ("up", "protocol", "align", "seed", "samples", "volume_points", "f_score_cm", "normal_size_px")  # what a score depends on
VOLUME_MARGIN_M = 0.1  # the box of the volumetric overlap reaches this far beyond the subject
UNIT_FACTOR = 3.0  # a prediction that is this much larger or smaller than the truth has probably another unit
LIKELY_UNITS = {"cm": 100.0, "mm": 1000.0}
FAR_CM = 50.0  # a median distance that no bad reconstruction in the right place has
FAILED_DISTANCE_CM = 90.0  # half the subject's height: worse than any mesh that has to do with the person, yet a number
CURVE_CM = np.linspace(0, 10, 101)  # where the share of surface within a distance is kept for the cumulative plot

Mesh = tuple[NDArray[np.float64], NDArray[np.int64]]
Row = dict[str, Any]

# name -> (title with unit, True where larger is better), whatever the protocol. The order is that of the table.
METRICS: dict[str, tuple[str, bool]] = {
    "chamfer_cm": ("Chamfer (cm)", False),
    "p2s_vertices_cm": ("P2S, vertices to truth (cm)", False),
    "p2s_samples_cm": ("P2S, samples to truth (cm)", False),
    "truth_to_prediction_cm": ("truth to prediction (cm)", False),
    "f_score": ("F-score", True),
    "iou": ("volume IoU", True),
    "silhouette_iou": ("silhouette IoU", True),
    "normal_input": ("normal error, input view", False),
    "normal_4_views": ("normal error, sum of 4 views", False),
    "normal_4_views_grey": ("the same on ECON's grey background", False),
}


@dataclass(frozen=True)
class SubjectTask:
    """One subject to score.

    Attributes: meshes maps (method, yaw) to its prediction. scan_sha256: of the scan's files. store: the file that keeps the subject's scores.
    """

    source: ScanSource
    config: EvalConfig
    meshes: dict[tuple[str, float], MeshFile]
    scan_sha256: str
    store: Path


@dataclass(frozen=True)
class SubjectScores:
    """What came of it. Attributes: rows, one per method and view. problem: why the truth could not be used ("" when it could).
    notes: what reading the scan detected (unit, up axis, repairs)."""

    name: str
    rows: list[Row] = field(default_factory=list)
    problem: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Truth:
    """One subject in one view's camera frame, metres, measured once for all methods.

    Attributes: surface: its outer faces (all faces in the normal maps). points (M, 3) of the box around it and inside (M,).
    """

    surface: Surface
    points: NDArray[np.float64]
    inside: NDArray[np.bool_]


def item_rng(seed: int, subject: str, yaw_deg: float, purpose: str) -> np.random.Generator:
    """A generator of its own for every subject, view and purpose, so that no number depends on which others are evaluated."""
    return np.random.default_rng([seed, zlib.crc32(item_name(subject, yaw_deg).encode()), zlib.crc32(purpose.encode())])


def score_subject(task: SubjectTask) -> SubjectScores:
    """Score every method in every view, but for what is in the store already. A truth that cannot be read is reported, never raised."""
    name = task.source.name
    keys = {item: _score_key(task, item) for item in task.meshes}
    stored = read_json(task.store) if task.store.is_file() else {"rows": {}, "notes": []}
    if not all(key in stored["rows"] for key in keys.values()):
        try:
            scan = read_scan(task.source, task.config.up)
            fresh = _measure(task, scan, {item for item, key in keys.items() if key not in stored["rows"]})
        except NcpifuError as error:
            return SubjectScores(name, problem=error.message)
        except ValueError as error:  # a scan without area, wound inside out, ...
            return SubjectScores(name, problem=f"the true surface cannot be measured: {error}")
        stored["rows"] |= {keys[item]: row for item, row in fresh.items()}
        stored["notes"] = list(scan.notes)
        write_json(task.store, stored)
    rows = [{"subject": name, "view_deg": yaw, "method": method} | stored["rows"][key] for (method, yaw), key in keys.items()]
    return SubjectScores(name, rows, notes=tuple(stored["notes"]))


def _score_key(task: SubjectTask, item: tuple[str, float]) -> str:
    mesh = task.meshes[item]
    settings = {name: getattr(task.config, name) for name in SETTINGS}
    content = sha256(mesh.path) if mesh.path else mesh.reason
    return stable_hash([SCORES_VERSION, settings, task.scan_sha256, item[1], content, mesh.units])


def _measure(task: SubjectTask, scan: Scan, items: set[tuple[str, float]]) -> dict[tuple[str, float], Row]:
    faces = np.asarray(scan.faces, np.int64)
    outer = metrics.outer_faces(scan.vertices, faces, InsideTest(scan.vertices, faces))
    rows = {}
    for yaw in sorted({view for _, view in items}):
        vertices = scan.vertices.astype(np.float64) @ rotation_y(yaw).T
        truth = measure_truth(vertices, faces, outer, task.config, item_rng(task.config.seed, scan.name, yaw, "truth"))
        for item in (item for item in items if item[1] == yaw):
            # One stream for all methods: where two agree, their scores do too.
            rows[item] = score_file(task.meshes[item], truth, task.config, item_rng(task.config.seed, scan.name, yaw, "prediction"), scan, yaw)
    return rows


def measure_truth(vertices: NDArray[np.float64], faces: NDArray[np.int64], outer: NDArray[np.bool_], config: EvalConfig, rng: np.random.Generator) -> Truth:
    """Prepare the truth (vertices in metres of the camera frame; `outer` flags the faces of its bounding surface)."""
    test = InsideTest(vertices, faces)
    samples = sample_outer_surface(vertices, faces[outer], test, config.samples, rng)  # outer faces may still be hidden in part
    points = metrics.stratified_points(vertices.min(axis=0) - VOLUME_MARGIN_M, vertices.max(axis=0) + VOLUME_MARGIN_M, config.volume_points, rng)
    return Truth(Surface(metrics.SurfaceTree(vertices, faces[outer]), samples, (vertices, faces)), points, test.inside(points))


def score_file(file: MeshFile, truth: Truth, config: EvalConfig, rng: np.random.Generator, scan: Scan, yaw_deg: float) -> Row:
    """Score one prediction; a broken one gets the failure scores and says why."""
    try:
        (vertices, faces), note = place_mesh(file, truth, config, rng, scan, yaw_deg)
    except NcpifuError as error:
        return failed(error.message, truth, config)
    health = mesh_health(vertices, faces)
    scores = score_mesh((vertices, faces), truth, config, rng)
    return scores | {
        "watertight": health.watertight,
        "components": health.components,
        "crossing_faces": health.crossing_faces,
        "vertices": health.vertices,
        "faces": health.faces,
        "status": "ok",
        "note": note or _place_note(vertices, truth, scores["p2s_samples_cm"]),
    }


def place_mesh(file: MeshFile, truth: Truth, config: EvalConfig, rng: np.random.Generator, scan: Scan, yaw_deg: float) -> tuple[Mesh, str]:
    """A prediction in metres of the camera's frame, aligned where that is asked for, and a note on how; NcpifuError where it cannot be scored."""
    if file.path is None:
        raise NcpifuError(file.reason)
    vertices, faces = read_mesh(file.path)
    vertices = to_camera_metres(vertices, file.units, scan.similarity, yaw_deg)
    if problem := mesh_problem(vertices, faces):
        raise NcpifuError(problem)
    align = config.align or PROTOCOLS[config.protocol].align
    if align == "none":
        return (vertices, faces), ""
    found = register(metrics.SurfaceTree(vertices, faces), truth.surface.tree, align == "similarity", rng)
    moved_cm = np.linalg.norm(found.apply(vertices) - vertices, axis=1).mean() * metrics.CM_PER_M
    scaled = f"scaled by {found.scale:.3f}, " if align == "similarity" else ""
    return (found.apply(vertices), faces), f"aligned: {scaled}turned by {found.angle_deg:.1f} degrees, moved by {moved_cm:.1f} cm"


def score_mesh(mesh: Mesh, truth: Truth, config: EvalConfig, rng: np.random.Generator) -> Row:
    """The protocol's three numbers, every metric of `METRICS` and the cumulative curve of one healthy mesh in the truth's camera frame, metres."""
    protocol = PROTOCOLS[config.protocol]
    pair = Comparison(_surface(mesh, config, rng), truth.surface)
    maps = [[surface.normal_map(config.normal_size_px, yaw) for surface in (pair.prediction, pair.truth)] for yaw in metrics.FOUR_VIEWS_DEG]
    part = largest_component(*mesh) if protocol.largest_part else np.ones(len(mesh[1]), np.bool_)
    whole = bool(part.all())
    judged = pair if whole else Comparison(_surface((mesh[0], mesh[1][part]), config, rng), truth.surface)
    return measure(protocol, judged, config.normal_size_px) | {
        "chamfer_cm": metrics.chamfer_cm(pair.to_truth_m, pair.to_prediction_m),
        "p2s_vertices_cm": metrics.p2s_cm(pair.vertices_to_truth_m),
        "p2s_samples_cm": metrics.p2s_cm(pair.to_truth_m),
        "truth_to_prediction_cm": metrics.p2s_cm(pair.to_prediction_m),
        "f_score": metrics.f_score(pair.to_truth_m, pair.to_prediction_m, config.f_score_cm),
        "iou": metrics.mask_iou(InsideTest(*mesh).inside(truth.points), truth.inside),
        "silhouette_iou": metrics.mask_iou(maps[0][0][1], maps[0][1][1]),
        **_normal_errors(maps),
        "within": [round(float(share), 4) for share in metrics.share_within(pair.to_truth_m, pair.to_prediction_m, CURVE_CM)],
    }


def _normal_errors(maps: list[list[metrics.NormalMap]]) -> dict[str, float]:
    """From the (prediction, truth) maps of the four views, the input view first."""
    black, grey = ([metrics.normal_error(mine, true, background) for mine, true in maps] for background in (0.0, GREY))
    return {"normal_input": black[0], "normal_4_views": sum(black), "normal_4_views_grey": sum(grey)}


def _surface(mesh: Mesh, config: EvalConfig, rng: np.random.Generator) -> Surface:
    return Surface(metrics.SurfaceTree(*mesh), sample_surface(*mesh, config.samples, rng))


def failed(reason: str, truth: Truth, config: EvalConfig) -> Row:
    """The defined score of a missing, empty or broken mesh: 90 cm for every distance, no overlap, and the normal error of an empty picture."""
    nothing = metrics.empty_map(config.normal_size_px)
    maps = [[nothing, truth.surface.normal_map(config.normal_size_px, yaw)] for yaw in metrics.FOUR_VIEWS_DEG]
    scores: Row = {name: 0.0 if better else FAILED_DISTANCE_CM for name, (_, better) in METRICS.items()}
    scores |= measure_nothing(PROTOCOLS[config.protocol], truth.surface, config.normal_size_px, FAILED_DISTANCE_CM)
    scores |= _normal_errors(maps) | {"within": [0.0] * len(CURVE_CM)}
    return scores | {"watertight": False, "components": 0, "crossing_faces": 0, "vertices": 0, "faces": 0, "status": "failed", "note": reason}


def read_mesh(path: Path) -> Mesh:
    """(V, 3) float64 vertices and (F, 3) int64 faces of a mesh file, exactly as stored; NcpifuError when it cannot be read."""
    try:
        loaded = trimesh.load(path, force="mesh", process=False)
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, NotImplementedError) as error:  # trimesh's readers raise all of these
        raise NcpifuError(f"{path.name} cannot be read as a mesh: {error}") from error
    if not isinstance(loaded, trimesh.Trimesh):
        raise NcpifuError(f"{path.name} holds no mesh")
    return np.asarray(loaded.vertices, np.float64).reshape(-1, 3), np.asarray(loaded.faces, np.int64).reshape(-1, 3)


def _place_note(vertices: NDArray[np.float64], truth: Truth, distance_cm: float) -> str:
    """A word of warning where a prediction looks as if it were measured in another unit or lay in another frame."""
    true = truth.surface.drawn[0]
    factor = float(np.linalg.norm(np.ptp(vertices, axis=0)) / np.linalg.norm(np.ptp(true, axis=0)))
    if not 1 / UNIT_FACTOR < factor < UNIT_FACTOR:
        likely = next((f": probably {unit}, give --units {unit}" for unit, size in LIKELY_UNITS.items() if 0.5 < factor / size < 2), ": another unit?")
        return f"{factor:.3g} times as large as the truth{likely}"
    if distance_cm > FAR_CM:
        return f"{distance_cm:.0f} cm from the truth: another frame? give --units scan or --align similarity"
    return ""
