"""Forward kinematics and linear blend skinning on plain arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rotations = Mapping[str, Array]
SIDES = ("L", "R")


@dataclass(frozen=True)
class Skeleton:
    """Bones in rest pose.

    Attributes: labels (J) bone names, parents (J) index of each bone's parent (-1 for the root; parents come first),
    heads (J, 3) metres.
    """

    labels: tuple[str, ...]
    parents: tuple[int, ...]
    heads: Array
    index: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", {label: i for i, label in enumerate(self.labels)})

    def head(self, label: str) -> Array:
        """(3,) rest position of a bone's head."""
        return self.heads[self.index[label]]

    def arm(self, side: str) -> tuple[Array, Array, Array]:
        """Rest shoulder, elbow, wrist."""
        return self.head(f"upperarm01.{side}"), self.head(f"lowerarm01.{side}"), self.head(f"wrist.{side}")

    def leg(self, side: str) -> tuple[Array, Array, Array]:
        """Rest hip, knee, ankle."""
        return self.head(f"upperleg01.{side}"), self.head(f"lowerleg01.{side}"), self.head(f"foot.{side}")

    def transforms(self, rotations: Rotations) -> Array:
        """(J, 3, 4) rest -> posed. Each rotation turns its bone about the bone's rest head, in rest-world axes, after its parent."""
        world = np.zeros((len(self.labels), 3, 4))
        identity, origin = np.eye(3), np.zeros(3)
        for i, label in enumerate(self.labels):
            parent = self.parents[i]
            turn, shift = (world[parent, :, :3], world[parent, :, 3]) if parent >= 0 else (identity, origin)
            rotation = turn @ rotations[label] if label in rotations else turn
            world[i, :, :3] = rotation
            world[i, :, 3] = turn @ self.heads[i] + shift - rotation @ self.heads[i]
        return world


def skin(vertices: Array, weights: sparse.csr_matrix, transforms: Array) -> Array:
    """Linear blend skinning: vertices (V, 3), weights (V, J) rows summing to 1, transforms (J, 3, 4) -> (V, 3)."""
    blended = (weights @ transforms.reshape(len(transforms), 12)).reshape(-1, 3, 4)
    return np.einsum("nij,nj->ni", blended[:, :, :3], vertices) + blended[:, :, 3]


def rigid(vertices: Array, transform: Array) -> Array:
    """(V, 3) moved by one (3, 4) transform."""
    return vertices @ transform[:, :3].T + transform[:, 3]


def to_rest(vertices: Array, transform: Array) -> Array:
    """(V, 3) posed -> rest, the inverse of `rigid`."""
    return (vertices - transform[:, 3]) @ transform[:, :3]
