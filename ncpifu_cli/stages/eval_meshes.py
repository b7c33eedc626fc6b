"""A predicted mesh on disk -> the truth's frame, whole or in part, aligned or not: what each protocol compares."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.config.eval import Alignment
from ncpifu_cli.data.mesh_files import read_geometry
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry import metrics
from ncpifu_cli.geometry.align import register
from ncpifu_cli.geometry.camera import Similarity
from ncpifu_cli.geometry.mesh_health import largest_component, mesh_problem
from ncpifu_cli.geometry.protocols import Comparison, Protocol, Surface
from ncpifu_cli.geometry.surface import sample_surface
from ncpifu_cli.stages.eval_methods import MeshFile, to_camera_metres

Mesh = tuple[NDArray[np.float64], NDArray[np.int64]]
Stream = Callable[[str], np.random.Generator]  # a purpose -> its own random numbers, the same ones every time

UNIT_FACTOR = 3.0  # a prediction that is this much larger or smaller than the truth has probably another unit
LIKELY_UNITS = {"cm": 100.0, "mm": 1000.0}
FAR_CM = 50.0  # a mean distance that no bad reconstruction in the right place has


def load_prediction(file: MeshFile, scan_to_world: Similarity, yaw_deg: float) -> Mesh:
    """A prediction in metres of the camera's frame; NcpifuError where it is missing, not readable, empty or broken."""
    if file.path is None:
        raise NcpifuError(file.reason)
    vertices, faces = read_mesh(file.path)
    vertices = to_camera_metres(vertices, file.units, scan_to_world, yaw_deg)
    if problem := mesh_problem(vertices, faces):
        raise NcpifuError(problem)
    return vertices, faces


def read_mesh(path: Path) -> Mesh:
    """(V, 3) float64 vertices and (F, 3) int64 faces of a mesh file, exactly as stored; NcpifuError when it cannot be read."""
    raw = read_geometry(path)
    return raw.vertices, raw.faces


class Candidate:
    """A healthy prediction beside the truth. Each way to lay it there is made once, with the same random numbers for every way and every method.

    Args: mesh in metres of the camera's frame. samples: area-uniform points of it.
    """

    def __init__(self, mesh: Mesh, truth: Surface, samples: int, stream: Stream) -> None:
        self._mesh, self._truth, self._samples, self._stream = mesh, truth, samples, stream
        self._laid: dict[Alignment, Comparison] = {}
        self.moves: list[str] = []  # how it was aligned, in words

    def compared(self, align: Alignment) -> Comparison:
        """The whole prediction against the truth."""
        if align not in self._laid:
            mesh, move = place(self._mesh, self._truth.tree, align, self._stream("alignment"))
            self.moves += [move] if move else []
            self._laid[align] = Comparison(_sampled(mesh, self._samples, self._stream), self._truth)
        return self._laid[align]

    def compared_by(self, protocol: Protocol, align: Alignment) -> Comparison:
        """What the protocol compares: the whole prediction or its largest part."""
        whole = self.compared(align)
        if not protocol.largest_part:
            return whole
        vertices, faces = whole.prediction.drawn
        part = largest_component(vertices, faces)
        if part.all():
            return whole
        count = protocol.samples or self._samples
        return Comparison(_sampled((vertices, faces[part]), count, self._stream), self._truth.first(count))


def place(mesh: Mesh, truth: metrics.SurfaceTree, align: Alignment, rng: np.random.Generator) -> tuple[Mesh, str]:
    """The mesh where `align` lays it, and how it was moved in words ("" where it was not)."""
    if align == "none":
        return mesh, ""
    vertices, faces = mesh
    found = register(metrics.SurfaceTree(vertices, faces), truth, align == "similarity", rng)
    moved = found.apply(vertices)
    distance_cm = np.linalg.norm(moved - vertices, axis=1).mean() * metrics.CM_PER_M
    scaled = f"scaled by {found.scale:.3f}, " if align == "similarity" else ""
    return (moved, faces), f"{align}: {scaled}turned by {found.angle_deg:.1f} degrees, moved by {distance_cm:.1f} cm"


def place_warning(mesh: Mesh, truth: Mesh, distance_cm: float) -> str:
    """A word of warning where a prediction looks as if it were measured in another unit or lay in another frame; "" where it does not."""
    factor = float(np.linalg.norm(np.ptp(mesh[0], axis=0)) / np.linalg.norm(np.ptp(truth[0], axis=0)))
    if not 1 / UNIT_FACTOR < factor < UNIT_FACTOR:
        likely = next((f": probably {unit}, give --units {unit}" for unit, size in LIKELY_UNITS.items() if 0.5 < factor / size < 2), ": another unit?")
        return f"{factor:.3g} times as large as the truth{likely}"
    if distance_cm > FAR_CM:
        return f"{distance_cm:.0f} cm from the truth: another frame? give --units scan or --align similarity"
    return ""


def _sampled(mesh: Mesh, count: int, stream: Stream) -> Surface:
    return Surface(metrics.SurfaceTree(*mesh), sample_surface(*mesh, count, stream("prediction")))
