"""The garment on the table that `details` works on: where its vertices lie, in a tailor's terms, and its colours and relief so far."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.synth.garments.fields import Landmarks, SurfaceFields
from ncpifu_cli.synth.garments.spec import GarmentSpec

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass
class Sewing:
    """A garment on the table, at rest. `color` (V, 3) and `relief` (V,) metres outwards are changed by the details.

    rest (V, 3); fields; marks; height (V,): z, or metres along the sleeve; front (V,): the chest's side of the torso; to_edge (V,): distance to
    the nearest hem, at most 0.12 m; base, accent: the fabric's colours.
    """

    spec: GarmentSpec
    rest: Array
    fields: SurfaceFields
    marks: Landmarks
    height: Array
    front: Mask
    to_edge: Array
    base: Array
    accent: Array
    is_denim: bool
    noise_seed: int
    rng: np.random.Generator
    color: Array
    relief: Array

    @property
    def x(self) -> Array:
        return self.rest[:, 0]

    @property
    def waist_z(self) -> float:
        """Upper edge of trousers and skirts."""
        return self.marks.hip_z + self.spec.waist

    def darken(self, where: Array | Mask, amount: float) -> None:
        """Multiply the colour by 1 - amount * where (V,)."""
        self.color *= 1 - amount * np.asarray(where, np.float64)[:, None]

    def blend(self, where: Array, color: Array) -> None:
        """Mix in `color` by the share `where` (V,)."""
        self.color += (color - self.color) * where[:, None]

    def lower_hem_z(self) -> float:
        """Height of a top's lower edge."""
        return self.marks.hip_z + self.spec.hem


def line(distance: Array, width: float) -> Array:
    """(V,) bell-shaped stroke around distance 0, `width` metres to either side."""
    return np.exp(-((distance / width) ** 2))
