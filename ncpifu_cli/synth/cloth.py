"""Small-step XPBD cloth: one constraint sweep per substep, contacts against a moving mesh, self-repulsion (design 2a).

Follows Macklin et al., Small Steps in Physics Simulation (2019). Stiffness is a compliance (m/N at unit mass); because the mesh's sweep count is
one, the values below belong to the substep counts they were tuned with: change both or none.
"""

from dataclasses import dataclass

import numpy as np
import warp as wp
from numpy.typing import NDArray

from ncpifu_cli.synth import cloth_kernels as kernels
from ncpifu_cli.synth.topology import vertex_normals

Array = NDArray[np.float64]
Index = NDArray[np.int64]

FASTEST_M_S = 6.0
NO_GROUND_M = -1e9
LARGEST_PUSH_M = 0.004  # per substep; a deep penetration is mended over several


@dataclass(frozen=True)
class Springs:
    """Distance constraints. Attributes: pairs (K, 2) vertices; rest (K) metres; compliance (K), 0 = rigid."""

    pairs: Index
    rest: Array
    compliance: Array

    @staticmethod
    def of(pairs: Index, rest: Array, compliance: float) -> "Springs":
        """The same compliance for all pairs."""
        return Springs(pairs, rest, np.full(len(pairs), compliance))

    @staticmethod
    def joined(parts: "list[Springs]") -> "Springs":
        """All constraints of several sets."""
        return Springs(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("pairs", "rest", "compliance")))


@dataclass(frozen=True)
class Pins:
    """Vertices drawn to moving targets. Attributes: vertices (P); strength (P), share of the way per substep."""

    vertices: Index
    strength: Array


@dataclass(frozen=True)
class StepSettings:
    """How one frame is simulated.

    Attributes: substeps per frame of 1/60 s; gravity m/s^2 along -z; damping: velocity kept per substep; friction (Coulomb);
    thickness_m kept above the collider; reach_m: collider parts further away are not seen; self_radius_m of the vertices' repulsion.
    """

    substeps: int
    gravity: float
    damping: float
    friction: float
    thickness_m: float
    reach_m: float
    self_radius_m: float
    frame_s: float = 1 / 60


class Collider:
    """A triangle mesh that moves from frame to frame, and the level ground under it (`ground_m`, height)."""

    def __init__(self, vertices: Array, triangles: Index, device: str = "cpu", ground_m: float = NO_GROUND_M) -> None:
        self.device, self.triangles, self.ground_m = device, triangles, ground_m
        self.corners = wp.array(triangles.astype(np.int32), dtype=wp.vec3i, device=device)
        self._points = wp.array(vertices.astype(np.float32), dtype=wp.vec3, device=device)
        self.mesh = wp.Mesh(self._points, wp.array(triangles.astype(np.int32).ravel(), dtype=int, device=device))
        self.start = self.end = vectors(vertices, device)
        self.normals = vectors(vertex_normals(vertices, triangles), device)

    def move(self, vertices: Array, normals: Array | None = None, ground_m: float = NO_GROUND_M) -> None:
        """The next frame ends at `vertices` (V, 3), with their `normals` (V, 3) where they are known; it starts where the last one ended.
        Contacts are looked up at its start."""
        wp.copy(self._points, self.end)
        self.mesh.refit()
        self.start, self.end, self.ground_m = self.end, vectors(vertices, self.device), ground_m
        self.normals = vectors(vertex_normals(vertices, self.triangles) if normals is None else normals, self.device)

    def rest(self) -> None:
        """The next frames stand still."""
        wp.copy(self._points, self.end)
        self.mesh.refit()
        self.start = self.end


class Cloth:
    """One garment's state. `rest` (V, 3) is used to tell neighbours in the fabric from layers that touch."""

    def __init__(self, positions: Array, rest: Array, springs: Springs, device: str = "cpu") -> None:
        self.device, self.count = device, len(positions)
        order, self._batches = _batches(springs.pairs, self.count, device)
        self._pairs = wp.array(springs.pairs[order].astype(np.int32), dtype=wp.vec2i, device=device)
        self._rest_lengths = wp.array(springs.rest[order].astype(np.float32), dtype=float, device=device)
        self._compliance = wp.array(springs.compliance[order].astype(np.float32), dtype=float, device=device)
        self._x, self._rest = vectors(positions, device), vectors(rest, device)
        self._previous, self._velocity, self._shift = wp.clone(self._x), wp.zeros_like(self._x), wp.zeros_like(self._x)
        self._face = wp.full(self.count, -1, dtype=int, device=device)
        self._u, self._v = (wp.zeros(self.count, dtype=float, device=device) for _ in range(2))
        self._neighbours = wp.full((self.count, kernels.NEIGHBOURS), -1, dtype=int, device=device)
        self._grid = wp.HashGrid(64, 64, 64, device=device)
        self._pins: tuple[wp.array, wp.array] | None = None
        self._pin_start = self._pin_end = vectors(np.zeros((0, 3)), device)

    @property
    def positions(self) -> Array:
        """(V, 3)."""
        return self._x.numpy().astype(np.float64)

    def pin(self, pins: Pins, targets: Array) -> None:
        """Hold `pins` at `targets` (P, 3) from now on."""
        if len(pins.vertices):
            indices = wp.array(pins.vertices.astype(np.int32), dtype=int, device=self.device)
            self._pins = indices, wp.array(pins.strength.astype(np.float32), dtype=float, device=self.device)
            self._pin_start = self._pin_end = vectors(targets, self.device)

    def move_pins(self, targets: Array) -> None:
        """The next frame takes the pins to `targets` (P, 3)."""
        self._pin_start, self._pin_end = self._pin_end, vectors(targets, self.device)

    def rest_pins(self) -> None:
        """The next frames hold the pins still."""
        self._pin_start = self._pin_end

    def find_partners(self, collider: Collider, settings: StepSettings) -> None:
        """Look up what each vertex may touch in the next frames: collider points and other vertices. Needed before the first `frame`."""
        self._launch(kernels.find_contacts, self.count, [collider.mesh.id, self._x, self._face, self._u, self._v, settings.reach_m])
        self._grid.build(self._x, settings.self_radius_m * 1.6)
        self._launch(kernels.find_neighbours, self.count, [self._grid.id, self._x, self._rest, self._neighbours, settings.self_radius_m])

    def frame(self, collider: Collider, settings: StepSettings) -> None:
        """Advance one frame while the collider goes from its `start` to its `end`, with the partners last found."""
        dt = settings.frame_s / settings.substeps
        for step in range(settings.substeps):
            t_before, t = step / settings.substeps, (step + 1) / settings.substeps
            self._launch(kernels.integrate, self.count, [self._x, self._previous, self._velocity, wp.vec3(0.0, 0.0, -settings.gravity), dt])
            for first, size in self._batches:
                self._launch(kernels.project_distances, size, [self._x, self._pairs, self._rest_lengths, self._compliance, first, 1 / dt**2])
            self._launch(kernels.repel_self, self.count, [self._x, self._shift, self._neighbours, settings.self_radius_m])
            self._launch(kernels.add_shift, self.count, [self._x, self._shift])
            if self._pins is not None:
                indices, strength = self._pins
                self._launch(kernels.pull_pins, len(indices), [self._x, indices, self._pin_start, self._pin_end, t, strength])
            self._launch(kernels.stay_above, self.count, [self._x, self._previous, collider.ground_m, settings.friction])
            contact = [self._x, self._previous, self._face, self._u, self._v, collider.corners, collider.start, collider.end, collider.normals]
            numbers = [t, t_before, settings.thickness_m, settings.friction, settings.reach_m, LARGEST_PUSH_M]
            self._launch(kernels.resolve_contacts, self.count, contact + numbers)
            self._launch(kernels.update_velocity, self.count, [self._x, self._previous, self._velocity, 1 / dt, settings.damping, FASTEST_M_S])

    def _launch(self, kernel: wp.Kernel, size: int, inputs: list) -> None:
        wp.launch(kernel, dim=size, inputs=inputs, device=self.device)


def vectors(values: Array, device: str) -> wp.array:
    """(N, 3) as a Warp vec3 array."""
    return wp.array(np.ascontiguousarray(values, np.float32), dtype=wp.vec3, device=device)


class SurfaceQuery:
    """Nearest points on a fixed mesh, vertices (V, 3), triangles (F, 3); built once, asked often (on the CPU)."""

    def __init__(self, vertices: Array, triangles: Index) -> None:
        self._vertices, self._triangles = vertices, triangles
        self._normals = vertex_normals(vertices, triangles)
        self._mesh = wp.Mesh(vectors(vertices, "cpu"), wp.array(triangles.astype(np.int32).ravel(), dtype=int, device="cpu"))

    def nearest(self, points: Array, reach_m: float) -> tuple[NDArray[np.bool_], Array, Array]:
        """For (N, 3) points: (found within reach (N), position (N, 3), smooth unit normal (N, 3))."""
        found, position, normal, _ = self.nearest_with(points, reach_m, self._vertices)
        return found, position, normal

    def nearest_with(self, points: Array, reach_m: float, values: Array) -> tuple[NDArray[np.bool_], Array, Array, Array]:
        """As `nearest`, and what `values` (V, C) per vertex are there, (N, C)."""
        face = wp.full(len(points), -1, dtype=int, device="cpu")
        u, v = (wp.zeros(len(points), dtype=float, device="cpu") for _ in range(2))
        wp.launch(kernels.find_contacts, dim=len(points), inputs=[self._mesh.id, vectors(points, "cpu"), face, u, v, reach_m], device="cpu")
        corners = self._triangles[np.maximum(face.numpy(), 0)]
        weights = np.stack([u.numpy(), v.numpy(), 1 - u.numpy() - v.numpy()], axis=1).astype(np.float64)
        position = np.einsum("nk,nkd->nd", weights, self._vertices[corners])
        normal = np.einsum("nk,nkd->nd", weights, self._normals[corners])
        there = np.einsum("nk,nkd->nd", weights, values[corners])
        return face.numpy() >= 0, position, normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12), there

    def push_out(self, points: Array, gap_m: float | Array, reach_m: float = 0.08) -> Array:
        """(N, 3) points, those nearer than `gap_m` to the surface or behind it moved out to `gap_m` along the normal."""
        found, position, normal = self.nearest(points, reach_m)
        distance = ((points - position) * normal).sum(axis=1) - gap_m
        return points - np.where((found & (distance < 0))[:, None], normal * distance[:, None], 0)


def _batches(pairs: Index, count: int, device: str) -> tuple[Index, list[tuple[int, int]]]:
    """(order of the constraints, [(first, size), ...]): one batch on the CPU, whose launches run in order (plain Gauss-Seidel, in vertex order
    for the cache); vertex-disjoint batches on CUDA."""
    if device == "cpu":
        order = np.argsort(pairs.min(axis=1), kind="stable")
        return order, [(0, len(pairs))]
    color = color_edges(pairs, count)
    sizes = np.bincount(color)
    firsts = np.r_[0, np.cumsum(sizes)[:-1]]
    return np.argsort(color, kind="stable"), [(int(first), int(size)) for first, size in zip(firsts, sizes, strict=True) if size]


def color_edges(pairs: Index, count: int) -> Index:
    """(K,) colours such that pairs of one colour share no vertex: greedy rounds of random maximal matchings, reproducible."""
    color = np.full(len(pairs), -1)
    rng = np.random.default_rng(0)
    current = 0
    while (open_pairs := np.flatnonzero(color < 0)).size:
        used = np.zeros(count, bool)
        while open_pairs.size:
            open_pairs = rng.permutation(open_pairs)
            rank = np.arange(len(open_pairs))
            best = np.full(count, len(open_pairs))
            np.minimum.at(best, pairs[open_pairs].ravel(), np.repeat(rank, 2))
            first = (best[pairs[open_pairs]] == rank[:, None]).all(axis=1)
            color[open_pairs[first]] = current
            used[pairs[open_pairs[first]].ravel()] = True
            open_pairs = open_pairs[~first]
            open_pairs = open_pairs[~used[pairs[open_pairs]].any(axis=1)]
        current += 1
    return color
