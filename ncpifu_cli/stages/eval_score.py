"""Score meshes on disk against the truth, one subject at a time; runs in worker processes."""

import zlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import read_json, sha256, stable_hash, write_json
from ncpifu_cli.config.eval import EvalConfig, ProtocolName
from ncpifu_cli.data.scans import ScanSource, read_scan
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry import metrics
from ncpifu_cli.geometry.camera import rotation_y
from ncpifu_cli.geometry.inside import InsideTest
from ncpifu_cli.geometry.mesh import Scan
from ncpifu_cli.geometry.mesh_health import mesh_health
from ncpifu_cli.geometry.protocols import GREY, PROTOCOLS, Comparison, Surface, measure, measure_nothing
from ncpifu_cli.geometry.surface import sample_outer_surface
from ncpifu_cli.stages.eval_meshes import Candidate, Stream, load_prediction, place_warning
from ncpifu_cli.stages.eval_methods import MeshFile, item_name

SCORES_VERSION = 4  # raise when a number changes its meaning: stored scores are then measured anew
SETTINGS = ("up", "protocol", "align", "seed", "samples", "volume_points", "f_score_cm", "normal_size_px")  # what a score depends on
VOLUME_MARGIN_M = 0.1  # the box of the volumetric overlap reaches this far beyond the subject
FAILED_DISTANCE_CM = 90.0  # half the subject's height: worse than any mesh that has to do with the person, yet a number
CURVE_CM = np.linspace(0, 10, 101)  # where the share of surface within a distance is kept for the cumulative plot

Row = dict[str, Any]

# name -> (title with unit, True where larger is better), whatever the protocol. The order is that of the table.
METRICS: dict[str, tuple[str, bool]] = {
    "chamfer_cm": ("Chamfer (cm)", False),
    "p2s_vertices_cm": ("P2S, vertices to truth (cm)", False),
    "p2s_samples_cm": ("P2S, samples to truth (cm)", False),
    "truth_to_prediction_cm": ("Truth to prediction (cm)", False),
    "f_score": ("F-score", True),
    "iou": ("Volume IoU", True),
    "silhouette_iou": ("Silhouette IoU", True),
    "normal_input": ("Normal error, input view", False),
    "normal_4_views": ("Normal error, sum of 4 views", False),
    "normal_4_views_grey": ("Normal error, sum of 4 views, grey background", False),
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
    stored = _stored(task.store)
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


def _stored(store: Path) -> dict[str, Any]:
    """The scores that earlier runs left; none where the file is not there or damaged: then all are measured again."""
    try:
        stored = read_json(store)
        if isinstance(stored["rows"], dict) and isinstance(stored["notes"], list):
            return {"rows": stored["rows"], "notes": stored["notes"]}
    except (NcpifuError, KeyError, TypeError):
        pass
    return {"rows": {}, "notes": []}


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
        stream = partial(item_rng, task.config.seed, scan.name, yaw)
        truth = measure_truth(vertices, faces, outer, task.config, stream)
        for item in (item for item in items if item[1] == yaw):
            rows[item] = score_file(task.meshes[item], truth, task.config, stream, scan, yaw)
    return rows


def measure_truth(vertices: NDArray[np.float64], faces: NDArray[np.int64], outer: NDArray[np.bool_], config: EvalConfig, stream: Stream) -> Truth:
    """Prepare the truth (vertices in metres of the camera frame; `outer` flags the faces of its bounding surface)."""
    test, rng = InsideTest(vertices, faces), stream("truth")
    samples = sample_outer_surface(vertices, faces[outer], test, config.samples, rng)  # outer faces may still be hidden in part
    points = metrics.stratified_points(vertices.min(axis=0) - VOLUME_MARGIN_M, vertices.max(axis=0) + VOLUME_MARGIN_M, config.volume_points, rng)
    return Truth(Surface(metrics.SurfaceTree(vertices, faces[outer]), samples, (vertices, faces)), points, test.inside(points))


def score_file(file: MeshFile, truth: Truth, config: EvalConfig, stream: Stream, scan: Scan, yaw_deg: float) -> Row:
    """Score one prediction; a broken one gets the failure scores and says why."""
    try:
        mesh = load_prediction(file, scan.similarity, yaw_deg)
    except NcpifuError as error:
        return failed(error.message, truth, config)
    candidate = Candidate(mesh, truth.surface, config.samples, stream)
    pair = candidate.compared(config.align or "none")
    laid, health = pair.prediction.drawn, mesh_health(*mesh)
    scores = score_pair(pair, truth, config)
    for name in config.protocols:
        protocol = PROTOCOLS[name]
        found = measure(protocol, candidate.compared_by(protocol, config.align or protocol.align), config.normal_size_px)
        scores |= {column(config, name, key): value for key, value in found.items()}
    return scores | {
        "watertight": health.watertight,
        "components": health.components,
        "crossing_faces": health.crossing_faces,
        "vertices": health.vertices,
        "faces": health.faces,
        "status": "ok",
        "note": place_warning(laid, truth.surface.drawn, scores["p2s_samples_cm"]),
        "aligned": "; ".join(candidate.moves),
    }


def column(config: EvalConfig, protocol: ProtocolName, key: str) -> str:
    """Where a row holds a protocol's "chamfer", "p2s" or "normal": under this plain name for the main table's, else as `<protocol>_chamfer`."""
    return key if protocol == config.protocols[0] else f"{protocol}_{key}"


def score_pair(pair: Comparison, truth: Truth, config: EvalConfig) -> Row:
    """Every metric of `METRICS` and the cumulative curve of one healthy mesh in the truth's camera frame."""
    maps = [[surface.normal_map(config.normal_size_px, yaw) for surface in (pair.prediction, pair.truth)] for yaw in metrics.FOUR_VIEWS_DEG]
    return {
        "chamfer_cm": metrics.chamfer_cm(pair.to_truth_m, pair.to_prediction_m),
        "p2s_vertices_cm": metrics.p2s_cm(pair.vertices_to_truth_m),
        "p2s_samples_cm": metrics.p2s_cm(pair.to_truth_m),
        "truth_to_prediction_cm": metrics.p2s_cm(pair.to_prediction_m),
        "f_score": metrics.f_score(pair.to_truth_m, pair.to_prediction_m, config.f_score_cm),
        "iou": metrics.mask_iou(InsideTest(*pair.prediction.drawn).inside(truth.points), truth.inside),
        "silhouette_iou": metrics.mask_iou(maps[0][0][1], maps[0][1][1]),
        **_normal_errors(maps),
        "within": [round(float(share), 4) for share in metrics.share_within(pair.to_truth_m, pair.to_prediction_m, CURVE_CM)],
    }


def _normal_errors(maps: list[list[metrics.NormalMap]]) -> dict[str, float]:
    """From the (prediction, truth) maps of the four views, the input view first."""
    black, grey = ([metrics.normal_error(mine, true, background) for mine, true in maps] for background in (0.0, GREY))
    return {"normal_input": black[0], "normal_4_views": sum(black), "normal_4_views_grey": sum(grey)}


def failed(reason: str, truth: Truth, config: EvalConfig) -> Row:
    """The defined score of a missing, empty or broken mesh: 90 cm for every distance, no overlap, and the normal error of an empty picture."""
    nothing = metrics.empty_map(config.normal_size_px)
    maps = [[nothing, truth.surface.normal_map(config.normal_size_px, yaw)] for yaw in metrics.FOUR_VIEWS_DEG]
    scores: Row = {name: 0.0 if better else FAILED_DISTANCE_CM for name, (_, better) in METRICS.items()}
    for name in config.protocols:
        nothing_found = measure_nothing(PROTOCOLS[name], truth.surface, config.normal_size_px, FAILED_DISTANCE_CM)
        scores |= {column(config, name, key): value for key, value in nothing_found.items()}
    scores |= _normal_errors(maps) | {"within": [0.0] * len(CURVE_CM)}
    return scores | {"watertight": False, "components": 0, "crossing_faces": 0, "vertices": 0, "faces": 0, "status": "failed", "note": reason, "aligned": ""}
