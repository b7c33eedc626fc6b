"""Chamfer, P2S and Normal as five groups of authors measure them: one small table of choices each (design: protocol A.1).

Each row re-states in words and numbers what the named public evaluator does; no code of theirs is used. `paper` is Neural-code PIFu's wording.
"""

from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ncpifu_cli.config.eval import Alignment, ProtocolName
from ncpifu_cli.geometry import metrics
from ncpifu_cli.geometry.camera import HALF_EXTENT_M
from ncpifu_cli.geometry.surface import SurfacePoints, face_normals

Floats = NDArray[np.float64]
COLUMNS = ("chamfer", "p2s", "normal")  # what every protocol measures
NDC_PER_M = 1 / HALF_EXTENT_M
GREY = (1 - 3**-0.5) / 2  # black, (-1, -1, -1) as a normal, scaled to length 1 and coloured again


@dataclass(frozen=True)
class Protocol:
    """One way to measure.

    Attributes:
        source: whose, and where it is written. samples: area-uniform points per surface; None takes the settings' number.
        p2s: from the prediction's "vertices" or "samples" to the truth, or from samples of the "truth" to the prediction.
        nearest: distance to the other "surface", or to the nearest of the other's "samples". unit, per_metre: what a metre of the 1.80 m subject counts.
        views: the turns from the input view whose normal errors are summed. background: colour of the normal maps where nothing is.
        window_m: half of what a normal map spans. cosine: |cos| between the normals of nearest samples in place of maps; larger is better.
        largest_part: drop all but the largest component of the prediction. align: what is done to the prediction before.
    """

    source: str
    samples: int | None = None
    p2s: Literal["vertices", "samples", "truth"] = "samples"
    nearest: Literal["surface", "samples"] = "surface"
    unit: str = "cm"
    per_metre: float = 100.0
    views: tuple[float, ...] = metrics.FOUR_VIEWS_DEG
    background: float = 0.0
    window_m: float = HALF_EXTENT_M
    cosine: bool = False
    largest_part: bool = False
    align: Alignment = "none"

    @property
    def normal_title(self) -> str:
        """The column's name."""
        return "Normal consistency" if self.cosine else "Normal" if len(self.views) == 1 else f"Normal, {len(self.views)} views"


PROTOCOLS: dict[ProtocolName, Protocol] = {
    "paper": Protocol("Neural-code PIFu, section 4: P2S from the vertices of the reconstruction; normals from the input view", p2s="vertices", views=(0.0,)),
    "pifuhd": Protocol("PIFuHD, lib/evaluator.py: a window of 256 / 1.3 cm", samples=10_000, window_m=1.28 / 1.3),
    "icon": Protocol(
        "ICON, lib/dataset/Evaluator.py and apps/ICON.py", samples=1000, p2s="truth", unit="1/100 half image", per_metre=100 * NDC_PER_M, largest_part=True
    ),
    "econ": Protocol(
        "ECON, lib/dataset/Evaluator.py and apps/benchmark.py", samples=1000, p2s="truth", unit="1/100 half image", per_metre=100 * NDC_PER_M, background=GREY
    ),
    "sith": Protocol(
        "SiTH, tools/evaluate.py: its ICP also scales",
        samples=100_000,
        nearest="samples",
        unit="1/1000 half image",
        per_metre=1000 * NDC_PER_M,
        cosine=True,
        align="similarity",
    ),
}


class Surface:
    """A mesh with its samples, ready to be compared.

    Args: tree: the surface that distances are measured to. samples: area-uniform points of it. drawn: the vertices (V, 3) and faces (F, 3) that are seen in
    normal maps, where those are not the tree's.
    """

    def __init__(self, tree: metrics.SurfaceTree, samples: SurfacePoints, drawn: tuple[Floats, NDArray[np.int64]] | None = None) -> None:
        self.tree, self.samples = tree, samples
        self.drawn = drawn or (tree.vertices, tree.faces)
        self._maps: dict[tuple[int, float, float], metrics.NormalMap] = {}

    def first(self, count: int) -> "Surface":
        """The same with its first `count` samples, which are a sample too: they are independent of each other."""
        fewer = copy(self)
        fewer.samples = SurfacePoints(self.samples.points[:count], self.samples.face[:count], self.samples.barycentric[:count])
        return fewer

    def normal_map(self, size_px: int, yaw_deg: float, window_m: float = HALF_EXTENT_M) -> metrics.NormalMap:
        """As `metrics.normal_map`; drawn once."""
        key = size_px, yaw_deg, window_m
        if key not in self._maps:
            self._maps[key] = metrics.normal_map(*self.drawn, size_px, yaw_deg, window_m)
        return self._maps[key]

    def sample_normals(self, count: int) -> Floats:
        """(count, 3) normals of the faces that the first samples lie on."""
        return face_normals(self.tree.vertices, self.tree.faces)[0][self.samples.face[:count]]


class Comparison:
    """The distances between a prediction and the truth, metres, each measured once."""

    def __init__(self, prediction: Surface, truth: Surface) -> None:
        self.prediction, self.truth = prediction, truth

    @cached_property
    def to_truth_m(self) -> Floats:
        """(N,) from the samples of the prediction."""
        return self.truth.tree.distance_m(self.prediction.samples.points)

    @cached_property
    def to_prediction_m(self) -> Floats:
        """(N,) from the samples of the truth."""
        return self.prediction.tree.distance_m(self.truth.samples.points)

    @cached_property
    def vertices_to_truth_m(self) -> Floats:
        """(V,) from the vertices of the prediction that a face uses."""
        return self.truth.tree.distance_m(self.prediction.tree.vertices[np.unique(self.prediction.tree.faces)])


def measure(protocol: Protocol, pair: Comparison, size_px: int) -> dict[str, float]:
    """The `COLUMNS` of the protocol. Args: pair: its prediction already aligned and cleaned. size_px: of the normal maps."""
    count = min(protocol.samples or len(pair.truth.samples.points), len(pair.truth.samples.points))
    if protocol.nearest == "samples":
        there, back, cosine = _between_samples(pair, count)
    else:
        there, back, cosine = pair.to_truth_m[:count], pair.to_prediction_m[:count], 0.0
    p2s = {"vertices": lambda: pair.vertices_to_truth_m, "samples": lambda: there, "truth": lambda: back}[protocol.p2s]()
    unit = protocol.per_metre / metrics.CM_PER_M
    normal = cosine if protocol.cosine else _map_error(protocol, pair.prediction, pair.truth, size_px)
    return {"chamfer": metrics.chamfer_cm(there, back) * unit, "p2s": metrics.p2s_cm(p2s) * unit, "normal": normal}


def measure_nothing(protocol: Protocol, truth: Surface, size_px: int, distance_cm: float) -> dict[str, float]:
    """The protocol's scores of a prediction that is not there: `distance_cm` for both distances and the normal error of an empty picture."""
    distance = distance_cm * protocol.per_metre / metrics.CM_PER_M
    return {"chamfer": distance, "p2s": distance, "normal": 0.0 if protocol.cosine else _map_error(protocol, None, truth, size_px)}


def _map_error(protocol: Protocol, prediction: Surface | None, truth: Surface, size_px: int) -> float:
    total = 0.0
    for yaw in protocol.views:
        true = truth.normal_map(size_px, yaw, protocol.window_m)
        mine = prediction.normal_map(size_px, yaw, protocol.window_m) if prediction else metrics.empty_map(size_px)
        total += metrics.normal_error(mine, true, protocol.background)
    return total


def _between_samples(pair: Comparison, count: int) -> tuple[Floats, Floats, float]:
    """Distances between the two sets of samples both ways and the mean |cos| between the normals of the nearest ones."""
    mine, true = pair.prediction.samples.points[:count], pair.truth.samples.points[:count]
    my_normals, true_normals = pair.prediction.sample_normals(count), pair.truth.sample_normals(count)
    there, nearest_true = cKDTree(true).query(mine)
    back, nearest_mine = cKDTree(mine).query(true)
    cosines = [np.abs((a * b).sum(axis=1)).mean() for a, b in ((my_normals, true_normals[nearest_true]), (true_normals, my_normals[nearest_mine]))]
    return there, back, float(np.mean(cosines))
