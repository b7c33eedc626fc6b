"""Score meshes on disk against the truth, one subject at a time; runs in worker processes."""

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from ncpifu_cli.config.eval import EvalConfig
from ncpifu_cli.data.scans import ScanSource, read_scan
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry import metrics
from ncpifu_cli.geometry.camera import rotation_y
from ncpifu_cli.geometry.inside import InsideTest
from ncpifu_cli.geometry.surface import sample_outer_surface, sample_surface

VOLUME_MARGIN_M = 0.1  # the box of the volumetric overlap reaches this far beyond the subject
UNIT_FACTOR = 3.0  # a prediction that is this much larger or smaller than the truth has probably another unit
FAILED_DISTANCE_CM = 90.0  # half the subject's height: worse than any mesh that has to do with the person, yet a number

Mesh = tuple[NDArray[np.float64], NDArray[np.int64]]
Row = dict[str, Any]

# name -> (title with unit, True where larger is better). The order is that of every table.
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
}


@dataclass(frozen=True)
class SubjectTask:
    """One subject to score. Attributes: meshes maps (method, yaw) to its mesh file or, where there is none, to the reason why."""

    source: ScanSource
    config: EvalConfig
    meshes: dict[tuple[str, float], Path | str]


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
    """One subject in one view's camera frame, measured once for all methods.

    Attributes: mesh (vertices in metres, faces); tree over its outer faces; samples (N, 3) of its outer surface;
    points (M, 3) of the box around it and inside (M,); normals: the normal maps for the four views, the input view first.
    """

    mesh: Mesh
    tree: metrics.SurfaceTree
    samples: NDArray[np.float64]
    points: NDArray[np.float64]
    inside: NDArray[np.bool_]
    normals: list[tuple[NDArray[np.float32], NDArray[np.bool_]]]


def item_name(subject: str, yaw_deg: float) -> str:
    """`<subject>_<yaw>`, the yaw with three digits where it is whole: the stem of every file about one input view."""
    return f"{subject}_{int(yaw_deg):03d}" if float(yaw_deg).is_integer() else f"{subject}_{yaw_deg:g}"


def item_rng(seed: int, subject: str, yaw_deg: float, purpose: str) -> np.random.Generator:
    """A generator of its own for every subject, view and purpose, so that no number depends on which others are evaluated."""
    return np.random.default_rng([seed, zlib.crc32(item_name(subject, yaw_deg).encode()), zlib.crc32(purpose.encode())])


def score_subject(task: SubjectTask) -> SubjectScores:
    """Read the truth, then score every method in every view. A truth that cannot be read is reported, never raised."""
    name = task.source.name
    try:
        scan = read_scan(task.source, task.config.up)
        faces = np.asarray(scan.faces, np.int64)
        test = InsideTest(scan.vertices, faces)
        outer = metrics.outer_faces(scan.vertices, faces, test)
        rows = []
        for yaw in task.config.views:
            truth = measure_truth(
                scan.vertices.astype(np.float64) @ rotation_y(yaw).T, faces, outer, task.config, item_rng(task.config.seed, name, yaw, "truth")
            )
            for (method, view), mesh in task.meshes.items():
                if view == yaw:
                    rng = item_rng(task.config.seed, name, yaw, "prediction")
                    rows.append({"subject": name, "view_deg": yaw, "method": method} | score_file(mesh, truth, task.config, rng))
    except NcpifuError as error:
        return SubjectScores(name, problem=error.message)
    except ValueError as error:  # a scan without area, wound inside out, ...
        return SubjectScores(name, problem=f"the true surface cannot be measured: {error}")
    return SubjectScores(name, rows, notes=scan.notes)


def measure_truth(vertices: NDArray[np.float64], faces: NDArray[np.int64], outer: NDArray[np.bool_], config: EvalConfig, rng: np.random.Generator) -> Truth:
    """Prepare the truth (vertices in metres of the camera frame; `outer` flags the faces of its bounding surface)."""
    test = InsideTest(vertices, faces)
    samples = sample_outer_surface(vertices, faces[outer], test, config.samples, rng).points  # outer faces may still be hidden in part
    points = metrics.stratified_points(vertices.min(axis=0) - VOLUME_MARGIN_M, vertices.max(axis=0) + VOLUME_MARGIN_M, config.volume_points, rng)
    normals = [metrics.normal_map(vertices, faces, config.normal_size_px, yaw) for yaw in metrics.FOUR_VIEWS_DEG]
    return Truth((vertices, faces), metrics.SurfaceTree(vertices, faces[outer]), samples, points, test.inside(points), normals)


def score_file(mesh: Path | str, truth: Truth, config: EvalConfig, rng: np.random.Generator) -> Row:
    """Score one mesh file; a str in its place is the reason why there is none. Broken ones get the failure scores and say why."""
    if isinstance(mesh, str):
        return failed(mesh, truth)
    try:
        vertices, faces = read_mesh(mesh)
    except NcpifuError as error:
        return failed(error.message, truth)
    health = metrics.mesh_health(vertices, faces)
    if health.problem:
        return failed(health.problem, truth)
    return score_mesh((vertices, faces), truth, config, rng) | {
        "watertight": health.watertight,
        "components": health.components,
        "vertices": health.vertices,
        "faces": health.faces,
        "status": "ok",
        "note": _unit_note(vertices, truth.mesh[0]),
    }


def score_mesh(mesh: Mesh, truth: Truth, config: EvalConfig, rng: np.random.Generator) -> dict[str, float]:
    """Every metric of `METRICS` for one healthy mesh in the truth's camera frame, metres."""
    vertices, faces = mesh
    tree = metrics.SurfaceTree(vertices, faces)
    # Vertices that no face uses are not part of the surface.
    to_truth_vertices = truth.tree.distance_m(vertices[np.unique(faces)])
    to_truth = truth.tree.distance_m(sample_surface(vertices, faces, config.samples, rng).points)
    to_prediction = tree.distance_m(truth.samples)
    normals = [metrics.normal_map(vertices, faces, config.normal_size_px, yaw) for yaw in metrics.FOUR_VIEWS_DEG]
    normal_errors = [metrics.normal_error(mine, true) for mine, true in zip(normals, truth.normals, strict=True)]
    return {
        "chamfer_cm": metrics.chamfer_cm(to_truth, to_prediction),
        "p2s_vertices_cm": metrics.p2s_cm(to_truth_vertices),
        "p2s_samples_cm": metrics.p2s_cm(to_truth),
        "truth_to_prediction_cm": metrics.p2s_cm(to_prediction),
        "f_score": metrics.f_score(to_truth, to_prediction, config.f_score_cm),
        "iou": metrics.mask_iou(InsideTest(vertices, faces).inside(truth.points), truth.inside),
        "silhouette_iou": metrics.mask_iou(normals[0][1], truth.normals[0][1]),
        "normal_input": normal_errors[0],
        "normal_4_views": sum(normal_errors),
    }


def failed(reason: str, truth: Truth) -> Row:
    """The defined score of a missing, empty or broken mesh: 90 cm for every distance, no overlap, and the normal error of an empty picture."""
    nothing = np.zeros_like(truth.normals[0][0]), np.zeros_like(truth.normals[0][1])
    errors = [metrics.normal_error(nothing, true) for true in truth.normals]
    scores = {name: 0.0 if better else FAILED_DISTANCE_CM for name, (_, better) in METRICS.items()}
    scores |= {"normal_input": errors[0], "normal_4_views": sum(errors)}
    return scores | {"watertight": False, "components": 0, "vertices": 0, "faces": 0, "status": "failed", "note": reason}


def read_mesh(path: Path) -> Mesh:
    """(V, 3) float64 vertices and (F, 3) int64 faces of a mesh file, exactly as stored; NcpifuError when it cannot be read."""
    try:
        loaded = trimesh.load(path, force="mesh", process=False)
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, NotImplementedError) as error:  # trimesh's readers raise all of these
        raise NcpifuError(f"{path.name} cannot be read as a mesh: {error}") from error
    if not isinstance(loaded, trimesh.Trimesh):
        raise NcpifuError(f"{path.name} holds no mesh")
    return np.asarray(loaded.vertices, np.float64).reshape(-1, 3), np.asarray(loaded.faces, np.int64).reshape(-1, 3)


def _unit_note(vertices: NDArray[np.float64], truth: NDArray[np.float64]) -> str:
    size, wanted = np.linalg.norm(np.ptp(vertices, axis=0)), np.linalg.norm(np.ptp(truth, axis=0))
    factor = float(size / wanted)
    if 1 / UNIT_FACTOR < factor < UNIT_FACTOR:
        return ""
    return f"{factor:.3g} times as large as the truth: another unit?"
