"""A body without a body model: bones where an adult's are, and simple meshes, for tests that need no anny."""

import numpy as np

from ncpifu_cli.synth.skeleton import Skeleton

_LEFT = {
    "clavicle": ("spine01", (0.03, 0.02, 1.42)),
    "upperarm01": ("clavicle.L", (0.18, 0.03, 1.40)),
    "upperarm02": ("upperarm01.L", (0.26, 0.03, 1.31)),
    "lowerarm01": ("upperarm02.L", (0.36, 0.04, 1.20)),
    "lowerarm02": ("lowerarm01.L", (0.445, 0.01, 1.10)),
    "wrist": ("lowerarm02.L", (0.53, -0.02, 1.00)),
    "upperleg01": ("root", (0.10, 0.0, 0.92)),
    "upperleg02": ("upperleg01.L", (0.11, 0.0, 0.70)),
    "lowerleg01": ("upperleg02.L", (0.12, 0.01, 0.50)),
    "lowerleg02": ("lowerleg01.L", (0.13, 0.03, 0.28)),
    "foot": ("lowerleg02.L", (0.13, 0.04, 0.08)),
    "eye": ("head", (0.03, -0.09, 1.66)),
}


def _fingers() -> dict[str, tuple[str, tuple[float, float, float]]]:
    bones = {}
    for finger in range(1, 6):
        parent = "wrist.L"
        for joint in range(1, 4):
            reach = (0.04 if finger == 1 else 0.09) + 0.03 * joint
            offset = np.array([0.7, -0.15 - 0.16 * (3 - finger), -0.7]) * reach
            bones[f"finger{finger}-{joint}"] = (parent, tuple(np.array(_LEFT["wrist"][1]) + offset))
            parent = f"finger{finger}-{joint}.L"
    return bones


def skeleton() -> Skeleton:
    """All bones the generator names, z up, facing -y, arms in an A."""
    bones: list[tuple[str, str | None, tuple[float, float, float]]] = [("root", None, (0.0, 0.0, 0.95))]
    parent = "root"
    for name, z in (
        ("spine05", 1.0),
        ("spine04", 1.08),
        ("spine03", 1.18),
        ("spine02", 1.28),
        ("spine01", 1.38),
        ("neck01", 1.45),
        ("neck02", 1.5),
        ("head", 1.55),
    ):
        bones.append((name, parent, (0.0, 0.02, z)))
        parent = name
    for side, mirror in (("L", 1), ("R", -1)):
        for name, (above, (x, y, z)) in {**_LEFT, **_fingers()}.items():
            bones.append((f"{name}.{side}", above.replace(".L", f".{side}"), (mirror * x, y, z)))
    labels = tuple(name for name, _, _ in bones)
    parents = tuple(-1 if above is None else labels.index(above) for _, above, _ in bones)
    return Skeleton(labels, parents, np.array([head for _, _, head in bones]))


def grid(side: int, size_m: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A flat square of side x side quads around the origin: (vertices, quads)."""
    axis = np.linspace(-size_m / 2, size_m / 2, side + 1)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    corner = (np.arange(side)[:, None] * (side + 1) + np.arange(side)[None]).ravel()
    quads = np.stack([corner, corner + side + 1, corner + side + 2, corner + 1], axis=1)
    return np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3), quads


def tube(around: int, along: int, radius_m: float = 0.1, length_m: float = 0.4) -> tuple[np.ndarray, np.ndarray]:
    """An open vertical tube: (vertices, quads), faces outwards."""
    angle = np.arange(around) / around * 2 * np.pi
    z = np.linspace(0, length_m, along + 1)
    rings = np.stack([np.tile(np.cos(angle) * radius_m, along + 1), np.tile(np.sin(angle) * radius_m, along + 1), np.repeat(z, around)], axis=1)
    i, j = np.meshgrid(np.arange(along), np.arange(around), indexing="ij")
    a, b = i * around + j, i * around + (j + 1) % around
    return rings, np.stack([a, b, b + around, a + around], axis=-1).reshape(-1, 4)
