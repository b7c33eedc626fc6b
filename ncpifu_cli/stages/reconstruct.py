"""One photo in, one mesh out: mask, frame, encode once, extract the surface, colour it, put it on the ground.

model = load_model()                                # the released compact weights
result = reconstruct("photo.jpg", model)            # result.mesh: metres, y up, feet at y = 0
result.mesh.export("mesh.glb")                      # or save(result, "mesh.glb") with preview and sidecar
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.config.base import validate
from ncpifu_cli.config.reconstruct import ReconstructConfig
from ncpifu_cli.data.framing import FramedView, frame, frame_colours
from ncpifu_cli.data.mask import Mask, find_mask
from ncpifu_cli.data.network_input import network_input
from ncpifu_cli.data.photo import Photo, photo_from_array, read_photo
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import HALF_EXTENT_M
from ncpifu_cli.progress import SILENT, Reporter
from ncpifu_cli.stages.weights import LoadedModel, load_model

if TYPE_CHECKING:
    import trimesh

__all__ = ["LoadedModel", "Reconstruction", "UntrustedMask", "load_model", "prepare", "reconstruct", "reconstruct_prepared", "reconstruct_view"]

MIN_PART = 0.02  # separate pieces under this share of the largest are noise
QUERY_FLOATS = 150_000_000  # floats of one layer of one query: bounds the memory (some layers live at once), whatever the profile


class UntrustedMask(NcpifuError):
    """No source could find the person reliably; `draft` is the best guess, on the working grid of a photo of `photo_size_px`."""

    def __init__(self, photo: Photo, draft: Mask) -> None:
        super().__init__(
            f"could not find the person in {photo.name} reliably: the background is busy and no mask model is installed",
            "give --mask FILE (white = person) or --person-box X,Y,WIDTH,HEIGHT, use a cut-out PNG, or install a mask model (`ncpifu doctor` tells how); "
            "--allow-rough-mask goes on with the guess",
            exit_code=2,
        )
        self.draft = draft
        self.photo_size_px = photo.size_px


@dataclass(frozen=True)
class Prepared:
    """A photo with its mask, before any network is loaded. Attributes: photo, mask; seconds that took."""

    photo: Photo
    mask: Mask
    seconds: float = 0.0


@dataclass(frozen=True)
class Reconstruction:
    """The answer.

    Attributes:
        mesh: metres, y up, facing +z, feet at y = 0, x = z = 0 on the optical axis, `height_m` tall, with vertex colours.
        view: what the network saw, and the camera back to the photo. prepared: photo and mask.
        scale, lift_m: mesh = scale * normalised + (0, lift_m, 0), the normalised frame being `ncpifu_cli.geometry`'s.
        timings_s: seconds by step. model: which weights did it. config: how.
    """

    mesh: "trimesh.Trimesh"
    view: FramedView
    prepared: Prepared
    scale: float
    lift_m: float
    timings_s: dict[str, float]
    model: LoadedModel
    config: ReconstructConfig

    def to_photo_px(self, points_m: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N, 3) points of the mesh's frame -> (N, 2) pixels of the upright photo, pixel centres at half-integers."""
        return self.view.camera.ndc_to_photo(self.to_ndc(points_m))

    def to_ndc(self, points_m: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N, 3) points of the mesh's frame -> (N, 3) NDC of the framed view."""
        return (np.asarray(points_m, np.float64) - (0, self.lift_m, 0)) / (self.scale * HALF_EXTENT_M)


def reconstruct(
    photo: str | Path | NDArray[np.uint8], model: LoadedModel | None = None, *, mask: str | Path | None = None, reporter: Reporter = SILENT, **settings: Any
) -> Reconstruction:
    """Reconstruct the person in a photo.

    Args:
        photo: an image file, or a (H, W, 3 or 4) uint8 array. model: from `load_model`; None loads the default weights.
        mask: a mask file, white = person. settings: keys of `ReconstructConfig` (resolution, height_m, person_box, allow_rough_mask, ...).

    Raises NcpifuError (and its kinds UntrustedMask, EmptySurface) with one line and a hint.
    """
    values = settings if mask is None else {**settings, "mask": str(mask)}
    config = validate(ReconstructConfig, values, "reconstruct")
    prepared = prepare(photo, config, reporter)
    return reconstruct_prepared(prepared, model or load_model(), config)


def prepare(photo: str | Path | NDArray[np.uint8], config: ReconstructConfig, reporter: Reporter = SILENT) -> Prepared:
    """Read the photo and find its mask: everything that can be wrong with the input shows here, before a network is loaded.

    Raises UntrustedMask (with a draft) where the mask would be a guess and `config.allow_rough_mask` is off.
    """
    clock = _Clock()
    picture = photo_from_array(photo) if isinstance(photo, np.ndarray) else read_photo(Path(photo))
    for note in picture.notes:
        reporter.info(f"{picture.name}: {note}")
    mask = find_mask(picture, Path(config.mask) if config.mask else None, config.person_box, config.use_rembg, reporter)
    for warning in mask.warnings:
        reporter.warn(warning)
    if not mask.trusted:
        if not config.allow_rough_mask:
            raise UntrustedMask(picture, mask)
        reporter.warn("going on with a mask that is only a guess")
    clock.lap("all")
    return Prepared(picture, mask, clock.laps["all"])


def reconstruct_prepared(prepared: Prepared, model: LoadedModel, config: ReconstructConfig) -> Reconstruction:
    """`reconstruct` from the mask on."""
    import trimesh

    from ncpifu_cli.stages.colours import vertex_colours

    clock = _Clock()
    clock.laps["photo and mask"] = prepared.seconds
    view = frame(prepared.photo, prepared.mask, model.config.image_size_px)
    clock.lap("frame")
    normalised = reconstruct_view(model, view.image, view.coverage, config.resolution)
    clock.lap("network and surface")
    vertices, faces = np.asarray(normalised.vertices, np.float64), np.asarray(normalised.faces)
    texture = frame_colours(prepared.photo, prepared.mask, 2 * config.resolution, view.camera)
    colours = vertex_colours(vertices / HALF_EXTENT_M, faces, texture)
    clock.lap("colours")
    low, high = vertices[:, 1].min(), vertices[:, 1].max()
    scale = config.height_m / float(high - low)
    lift_m = -scale * float(low)
    mesh = trimesh.Trimesh(vertices * scale + (0, lift_m, 0), faces, vertex_colors=colours, process=False)
    return Reconstruction(mesh, view, prepared, scale, lift_m, clock.laps, model, config)


def reconstruct_view(model: LoadedModel, image: NDArray[np.uint8], mask: NDArray[np.bool_] | NDArray[np.float32], resolution: int = 256) -> "trimesh.Trimesh":
    """The bare method on a photo that is already framed as in training.

    Args: image (S, S, 3) uint8 sRGB and mask (S, S), bool or coverage 0..1, with S = model.config.image_size_px; resolution: cells per axis.
    Returns: the mesh in normalised metres of the camera frame (NDC * 1.024, y up, z towards the camera), outward faces, without noise parts.
    Raises EmptySurface when the network sees no body, ValueError for other shapes.
    """
    import torch
    import trimesh

    from ncpifu_cli.geometry.extract import extract_surface, largest_components

    size = model.config.image_size_px
    if image.shape != (size, size, 3) or mask.shape != (size, size):
        raise ValueError(f"these weights take {size} x {size} px; got image {image.shape}, mask {mask.shape}")
    with torch.inference_mode():
        pixels = torch.from_numpy(network_input(image, mask.astype(np.float32)))
        features = model.model.encode(pixels[None].to(model.device))

        def occupancy(points_ndc: NDArray[np.float32]) -> NDArray[np.float32]:
            try:
                points = torch.from_numpy(points_ndc).to(model.device)[None]
                return model.model.query(features, points).occupancy[0].cpu().numpy()
            except torch.cuda.OutOfMemoryError as error:
                if len(points_ndc) < 2048:
                    raise NcpifuError("the device is out of memory", "close other programs on it, or use --device cpu") from error
            torch.cuda.empty_cache()  # the GPU is shared: go on with halves, the answers are the same
            middle = len(points_ndc) // 2
            return np.concatenate([occupancy(points_ndc[:middle]), occupancy(points_ndc[middle:])])

        surface = extract_surface(occupancy, resolution, valid=mask >= 0.5, chunk_points=chunk_points(model))
    vertices, faces = largest_components(surface.vertices, surface.faces, keep=8, min_fraction=MIN_PART)
    return trimesh.Trimesh(vertices * HALF_EXTENT_M, faces, process=False)


def chunk_points(model: LoadedModel) -> int:
    """Points per query: on a CPU few enough for its caches (16 k are 30 % faster than 64 k), and never more than QUERY_FLOATS in the widest layers."""
    config = model.config
    widest = max((*config.classifier, 2 * config.width + config.feature_channels, 2 * config.feature_channels))
    cap = 16_384 if model.device.type == "cpu" else 131_072
    return int(min(cap, max(4096, QUERY_FLOATS // widest)))


class _Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self._last = round(now - self._last, 3), now
