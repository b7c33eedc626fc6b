"""The pieces a human is made of, before they become one mesh."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """A posed, coloured piece. vertices (V, 3) metres; triangles (F, 3), counter-clockwise from outside; colors (V, 3) sRGB 0..1."""

    name: str
    vertices: Array
    triangles: Index
    colors: Array


@dataclass(frozen=True)
class RigidPart:
    """Something worn that does not deform like cloth (a shoe): vertices (V, 3) at rest, triangles (F, 3), weights (V, J)."""

    vertices: Array
    triangles: Index
    weights: sparse.csr_matrix
