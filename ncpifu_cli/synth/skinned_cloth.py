"""Clothes that move with the skin below them instead of being simulated: half of the time about a human is its cloth.

They lie as they were cut, with a few folds of noise, and know no gravity: good enough to learn poses from, a thousand at a time, and nothing to look at
closely. Skirts hang from no limb: outfits with one are simulated.
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from ncpifu_cli.synth.body import BodyModel, BodyShape
from ncpifu_cli.synth.cloth import SurfaceQuery
from ncpifu_cli.synth.drape import FINE, LAYER_THICKNESS_M, Draped
from ncpifu_cli.synth.garments.build import Garment
from ncpifu_cli.synth.garments.spec import GarmentSpec
from ncpifu_cli.synth.noise import fractal_noise
from ncpifu_cli.synth.parts import RigidPart
from ncpifu_cli.synth.skeleton import skin
from ncpifu_cli.synth.topology import catmull_clark, taubin, triangulate, vertex_normals

Array = NDArray[np.float64]

LONGEST_HEM_M = 0.2  # below the hips: what hangs lower is a skirt
FOLD_SHARE, LARGEST_FOLD_M = 0.3, 0.006  # of the ease: how deep folds are
FOLDS_PER_M = np.array([7.0, 7.0, 17.0])
SMOOTHING = 6  # steps over what skinning has crumpled in armpits and groins


def follows_skin(spec: GarmentSpec) -> bool:
    """Whether a garment can do without simulation."""
    return spec.cut != "skirt" and spec.hem > -LONGEST_HEM_M


def skin_cloth(garments: Sequence[Garment], model: BodyModel, shape: BodyShape, transforms: Array, parts: Sequence[RigidPart], noise_seed: int) -> list[Draped]:
    """`garments` (innermost first) on the posed body, each outside of what is below it; as `drape`, in a hundredth of its time.

    Args: transforms: (J, 3, 4) of the skeleton. parts: shoes.
    """
    vertices = [skin(shape.body, model.body_weights, transforms), *(skin(part.vertices, part.weights, transforms) for part in parts)]
    triangles = [model.body_triangles, *(part.triangles for part in parts)]
    draped = []
    for layer, garment in enumerate(garments):
        step = catmull_clark(garment.quads, len(garment.rest))
        rest, weights = step.matrix @ garment.rest, sparse.csr_matrix(step.matrix @ garment.weights)
        faces = triangulate(step.quads)
        posed = taubin(step.matrix @ skin(garment.rest, garment.weights, transforms), faces, SMOOTHING)
        folds = min(FOLD_SHARE * garment.spec.ease, LARGEST_FOLD_M) * fractal_noise(rest * FOLDS_PER_M, 2, noise_seed + 7 * layer)
        posed = posed + vertex_normals(posed, faces) * folds[:, None]
        offsets = np.cumsum([0, *(len(part) for part in vertices[:-1])])
        below = SurfaceQuery(np.concatenate(vertices), np.concatenate([part + offset for part, offset in zip(triangles, offsets, strict=True)]))
        for _ in range(2):
            posed = below.push_out(posed, FINE.thickness_m + LAYER_THICKNESS_M * layer)
        draped.append(Draped(garment, rest, posed, step.quads, faces, weights, np.zeros(1)))
        vertices.append(posed)
        triangles.append(faces)
    return draped
