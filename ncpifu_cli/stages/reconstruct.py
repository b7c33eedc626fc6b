"""One photo in, one mesh out: mask, frame, encode once, extract the surface, colour it, put it on the ground.

model = load_model()                                # the released compact weights
result = reconstruct("photo.jpg", model)            # result.mesh: metres, y up, feet at y = 0
result.mesh.export("mesh.glb")                      # or result.save("mesh.glb") with preview and sidecar
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.config.base import validate
from ncpifu_cli.config.reconstruct import ReconstructConfig
from ncpifu_cli.data.backs import find_back_weights, other_side
from ncpifu_cli.data.framing import FramedView, frame, frame_colours, frame_head
from ncpifu_cli.data.mask import UntrustedMask, find_masks
from ncpifu_cli.data.network_input import CLOSE_PX
from ncpifu_cli.data.normals import find_normal_weights
from ncpifu_cli.data.person_mask import Mask
from ncpifu_cli.data.perspective import ORTHOGRAPHIC, Perspective
from ncpifu_cli.data.photo import Photo, photo_from_array, read_photo
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import HALF_EXTENT_M
from ncpifu_cli.progress import SILENT, Clock, Reporter
from ncpifu_cli.stages.weights import LoadedModel, load_model

if TYPE_CHECKING:
    import trimesh

    from ncpifu_cli.geometry.sampled_field import Occupancy
    from ncpifu_cli.stages.outputs import Outputs
    from ncpifu_cli.stages.texture import Texture

__all__ = [
    "LoadedModel",
    "Reconstruction",
    "UntrustedMask",
    "load_model",
    "prepare",
    "reconstruct",
    "reconstruct_people",
    "reconstruct_prepared",
    "reconstruct_view",
]

ONLY_A_GUESS = "the mask is only a guess"
OVERLAP_SHARE = 0.04  # of the person's pixels with a gap behind: above it, sides often fail (docs/reconstruct.md)
MIN_PART = 0.02  # separate pieces under this share of the largest are noise
MOST_POINTS = 131_072  # of one call; `NetworkOccupancy` asks the network for fewer at a time
NEAR = 7  # heights of a person: from further away perspective bends them by less than anyone sees, and the estimate is a guess: no word about it


@dataclass(frozen=True)
class Prepared:
    """A photo with its mask, before any network is loaded. Attributes: photo, mask; seconds that took."""

    photo: Photo
    mask: Mask
    seconds: float = 0.0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What should be looked at in the mask, one line each."""
        return self.mask.warnings if self.mask.trusted else (*self.mask.warnings, ONLY_A_GUESS)


@dataclass(frozen=True)
class Reconstruction:
    """The answer.

    Attributes:
        mesh: metres, y up, facing +z, lowest point at y = 0, x = z = 0 at the middle of the framed view, with vertex colours; `height_m` tall, or as much of
            that as the photo shows.
        view: what the network saw, and the camera back to the photo. prepared: photo and mask.
        scale, lift_m: mesh = scale * normalised + (0, lift_m, 0), the normalised frame being `ncpifu_cli.geometry`'s, of the framed view.
        timings_s: seconds by step. model: which weights did it. config: how.
        detail, back: the files of the networks that its detail and the colours of its other side come from. texture: where config.texture.
        confidence: (V,) float32 0..1 where config.confidence, see `ncpifu_cli.stages.confidence`.
        overlap: share of the person's pixels behind whose first surface the network sees a gap and more of the person.
        seen: the camera that the network thinks took the photo.
    """

    mesh: "trimesh.Trimesh"
    view: FramedView
    prepared: Prepared
    scale: float
    lift_m: float
    timings_s: dict[str, float]
    model: LoadedModel
    config: ReconstructConfig
    detail: Path | None = None
    back: Path | None = None
    texture: "Texture | None" = None
    confidence: NDArray[np.float32] | None = None
    overlap: float = 0.0
    seen: Perspective = ORTHOGRAPHIC

    def save(self, mesh: str | Path) -> "Outputs":
        """Write the mesh (format by extension) and beside it what the command line writes, all or nothing; returns the files' names. Raises NcpifuError."""
        from ncpifu_cli.stages.export import save
        from ncpifu_cli.stages.outputs import plan_outputs

        outputs = plan_outputs(Path(mesh), self.config)
        save(self, outputs)
        return outputs

    @property
    def perspective(self) -> Perspective:
        """What of the camera was taken out of the mesh: all that was seen, or nothing."""
        return _taken_out(self.seen, self.config)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What should be looked at in this result, one line each."""
        return (*self.prepared.warnings, *overlap_warnings(self.overlap))

    def to_photo_px(self, points_m: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N, 3) points of the mesh's frame -> (N, 2) pixels of the upright photo, pixel centres at half-integers."""
        return self.view.camera.ndc_to_photo(self.perspective.points(self.to_ndc(points_m)))

    def to_ndc(self, points_m: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N, 3) points of the mesh's frame -> (N, 3) NDC of an orthographic view; the framed one shows them at `perspective.points` of these."""
        return (np.asarray(points_m, np.float64) - (0, self.lift_m, 0)) / (self.scale * HALF_EXTENT_M)


def reconstruct(
    photo: str | Path | NDArray[np.uint8], model: LoadedModel | None = None, *, mask: str | Path | None = None, reporter: Reporter = SILENT, **settings: Any
) -> Reconstruction:
    """Reconstruct the person in a photo; the largest where there are several (person=n: the n-th from the left).

    Args:
        photo: an image file, or a (H, W, 3 or 4) uint8 array. model: from `load_model`; None loads the default weights.
        mask: a mask file, white = person. settings: keys of `ReconstructConfig` (resolution, height_m, person_box, allow_rough_mask, ...).

    Raises NcpifuError (and its kinds UntrustedMask, EmptySurface) with one line and a hint.
    """
    if settings.get("person") == "all":
        raise NcpifuError("reconstruct answers with one person", "call reconstruct_people for all of them")
    return reconstruct_people(photo, model, mask=mask, reporter=reporter, **settings)[0]


def reconstruct_people(
    photo: str | Path | NDArray[np.uint8], model: LoadedModel | None = None, *, mask: str | Path | None = None, reporter: Reporter = SILENT, **settings: Any
) -> list[Reconstruction]:
    """Like `reconstruct`, for every person asked for: with person="all" everyone in the photo, from left to right."""
    values = settings if mask is None else {**settings, "mask": str(mask)}
    config = validate(ReconstructConfig, values, "reconstruct")
    people = prepare(photo, config, reporter)
    loaded = model or load_model()
    return [reconstruct_prepared(person, loaded, config, reporter) for person in people]


def prepare(photo: str | Path | NDArray[np.uint8], config: ReconstructConfig, reporter: Reporter = SILENT) -> list[Prepared]:
    """Read the photo and find the masks of the people asked for: everything that can be wrong with the input shows here, before a network is loaded.

    Raises UntrustedMask (with a draft) where the mask would be a guess and neither `config.allow_rough_mask` nor `config.mask_only` is on.
    """
    clock = Clock()
    picture = photo_from_array(photo) if isinstance(photo, np.ndarray) else read_photo(Path(photo))
    for note in picture.notes:
        reporter.info(f"{picture.name}: {note}")
    mask_file = Path(config.mask) if config.mask else None
    masks = find_masks(picture, mask_file, config.person_box, config.person, config.mask_model, reporter)
    for warning in dict.fromkeys(warning for mask in masks for warning in mask.warnings):
        reporter.warn(warning)
    if not masks[0].trusted:
        if not (config.allow_rough_mask or config.mask_only):
            raise UntrustedMask(picture, masks[0])
        reporter.warn(ONLY_A_GUESS)
    clock.lap("all")
    return [Prepared(picture, mask, clock.laps["all"] / len(masks)) for mask in masks]


def reconstruct_prepared(prepared: Prepared, model: LoadedModel, config: ReconstructConfig, reporter: Reporter = SILENT) -> Reconstruction:
    """`reconstruct` from the mask on."""
    from ncpifu_cli.geometry.finish import decimate, smooth
    from ncpifu_cli.geometry.surface import vertex_normals
    from ncpifu_cli.stages.colours import SurfaceColours
    from ncpifu_cli.stages.confidence import confidence_of
    from ncpifu_cli.stages.detail import add_detail
    from ncpifu_cli.stages.query import NetworkOccupancy
    from ncpifu_cli.stages.texture import TEXTURE_FACES, bake_texture

    clock = Clock()
    clock.laps["photo and mask"] = prepared.seconds
    normal_weights, back_weights = find_normal_weights() if config.detail else None, find_back_weights()  # a wrong name is told before the work
    view = frame(prepared.photo, prepared.mask, model.config.image_size_px)
    clock.lap("frame")
    occupancy = NetworkOccupancy(model, view.image, view.coverage, reporter)
    overlap = occupancy.gap_share(view.coverage)
    for warning in overlap_warnings(overlap):
        reporter.warn(warning)
    clock.lap("encoder")
    vertices, faces = extract_person(occupancy, view.coverage, config.resolution)
    clock.lap("surface")
    if normal_weights is not None:
        close = frame(prepared.photo, prepared.mask, CLOSE_PX, view.camera)
        head = frame_head(prepared.photo, prepared.mask, close)
        vertices, faces = add_detail(normal_weights, vertices, faces, close.image, close.coverage, model.device, head, back_weights)
        clock.lap("detail")
    elif config.detail:
        reporter.info("no normal network is installed: the mesh stays without fine detail")
    if config.smooth:
        vertices = smooth(vertices, faces, config.smooth)
    wanted_faces = config.faces or (TEXTURE_FACES if config.texture else None)
    if wanted_faces is not None:
        vertices, faces = decimate(vertices, faces, wanted_faces)
    normals = vertex_normals(vertices, faces)
    photo_colours = frame_colours(prepared.photo, prepared.mask, max(CLOSE_PX, 2 * config.resolution), view.camera)
    behind = None if back_weights is None else other_side(back_weights, photo_colours, view.coverage, model.device)
    if behind is None:
        reporter.info("without a back network (not here, or $NCPIFU_BACK is none) the other side has the photo's colours, face and all")
    colours = SurfaceColours(vertices, faces, photo_colours, behind)
    mesh_colours = colours.at(vertices, normals)
    texture = bake_texture(vertices, faces, colours) if config.texture else None
    clock.lap("colours")
    confidence = None
    if config.confidence:
        confidence = confidence_of(model, view, vertices, normals, reporter)
        clock.lap("confidence")
    seen = occupancy.perspective
    mesh, scale, lift_m = _in_metres(_taken_out(seen, config).undone(vertices), faces, mesh_colours, prepared, config)
    distance_m = seen.distance_ndc * scale * HALF_EXTENT_M
    if distance_m < NEAR * config.height_m:
        done = "stays in" if config.keep_perspective else "is taken out of"
        reporter.info(f"the camera seems to have been about {distance_m:.0f} m away: its perspective {done} the mesh")
    return Reconstruction(mesh, view, prepared, scale, lift_m, clock.laps, model, config, normal_weights, back_weights, texture, confidence, overlap, seen)


def _in_metres(
    vertices_ndc: NDArray[np.floating], faces: NDArray[np.integer], colours: NDArray[np.uint8], prepared: Prepared, config: ReconstructConfig
) -> tuple["trimesh.Trimesh", float, float]:
    """The mesh as tall as was asked for, and its `scale` and `lift_m` (see `Reconstruction`)."""
    import trimesh

    low, high = vertices_ndc[:, 1].min() * HALF_EXTENT_M, vertices_ndc[:, 1].max() * HALF_EXTENT_M
    scale = prepared.mask.shown * config.height_m / float(high - low)
    lift_m = -scale * float(low if config.ground else (low + high) / 2)
    placed = vertices_ndc * (scale * HALF_EXTENT_M) + (0, lift_m, 0)
    return trimesh.Trimesh(placed, faces, vertex_colors=colours, process=False), scale, lift_m


def _taken_out(seen: Perspective, config: ReconstructConfig) -> Perspective:
    return ORTHOGRAPHIC if config.keep_perspective else seen


def overlap_warnings(overlap: float) -> tuple[str, ...]:
    """What to tell of a share of the person that has a gap and more of the person behind it."""
    if overlap <= OVERLAP_SHARE:
        return ()
    seen = f"the network sees limbs or things behind each other in {overlap:.0%} of the person"
    return (f"{seen}: there the mesh may be torn or grown together; look at its sides in the preview",)


def reconstruct_view(model: LoadedModel, image: NDArray[np.uint8], mask: NDArray[np.bool_] | NDArray[np.float32], resolution: int = 256) -> "trimesh.Trimesh":
    """The bare method, its sides fair, on a photo that is already framed as in training; a near camera's perspective stays in the mesh.

    Args: image (S, S, 3) uint8 sRGB and mask (S, S), bool or coverage 0..1, with S = model.config.image_size_px; resolution: cells per axis.
    Returns: the mesh in normalised metres of the camera frame (NDC * 1.024, y up, z towards the camera), outward faces, without noise parts.
    Raises EmptySurface when the network sees no body, ValueError for other shapes.
    """
    import trimesh

    from ncpifu_cli.stages.query import NetworkOccupancy

    coverage = mask.astype(np.float32)
    vertices, faces = extract_person(NetworkOccupancy(model, image, coverage), coverage, resolution)
    return trimesh.Trimesh(vertices * HALF_EXTENT_M, faces, process=False)


def extract_person(occupancy: "Occupancy", coverage: NDArray[np.float32], resolution: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """The surface that fills the silhouette, without noise parts and inner hollows, its sides fair: vertices (V, 3) in NDC, faces (F, 3).

    Limbs of which the network is unsure keep their thickness. Its own surface tells where it leaves pixels of the person empty; what is asked twice is
    answered once. coverage (S, S) 0..1.
    """
    from ncpifu_cli.geometry.extract import extract_surface, largest_components, linear_in_logit, without_cavities
    from ncpifu_cli.geometry.fair import fair_sides
    from ncpifu_cli.geometry.sampled_field import Remembered
    from ncpifu_cli.geometry.silhouette import fill_silhouette
    from ncpifu_cli.geometry.thickness import keep_thickness

    known, valid = Remembered(keep_thickness(occupancy, coverage), resolution), coverage >= 0.5
    own = extract_surface(linear_in_logit(known), resolution, valid=valid, chunk_points=MOST_POINTS)
    filled = fill_silhouette(known, coverage, own.vertices, own.faces)
    surface = extract_surface(linear_in_logit(filled), resolution, valid=valid, chunk_points=MOST_POINTS, settle=True)
    solid = without_cavities(surface.vertices, surface.faces)
    vertices, faces = largest_components(*solid, keep=8, min_fraction=MIN_PART)
    return fair_sides(vertices, faces), faces
