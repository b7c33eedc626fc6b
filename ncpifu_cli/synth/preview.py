"""Contact sheets: humans from several sides in colour and normals, and cut open, drawn by the project's own rasteriser."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.geometry.camera import Camera, normalise_subject
from ncpifu_cli.geometry.inside import InsideTest
from ncpifu_cli.geometry.raster import interpolate, rasterise
from ncpifu_cli.synth.topology import vertex_normals

Image = NDArray[np.uint8]

BACKGROUND = 0.55
KEY_LIGHT = np.array([-0.5, 0.6, 0.62])
FILL_LIGHT = np.array([0.8, 0.2, 0.55])
YAWS_DEG = (0.0, 90.0, 180.0, 270.0)
NARROWEST = 0.42  # a view's width over its height, for a standing person
INSIDE_COLOR = np.array([0.25, 0.32, 0.45])
SLICE_STEP_M = 0.004


class Subject(NamedTuple):
    """What a sheet shows. vertices (V, 3) metres y up; faces (F, 3); colors (V, 3) uint8 sRGB."""

    label: str
    vertices: NDArray[np.floating]
    faces: NDArray[np.integer]
    colors: NDArray[np.uint8]


def contact_sheet(subjects: Sequence[Subject], size_px: int = 320, columns: int = 3) -> Image:
    """(H, W, 3) uint8: per subject two rows, four sides in shaded colour above their normals, and on the right what counts as inside:
    cut through the middle across (above) and lengthways (below). The label stands on top."""
    import cv2

    tiles = [_tile(subject, size_px) for subject in subjects]
    width = max(tile.shape[1] for tile in tiles)
    tiles = [_padded(tile, width) for tile in tiles]
    for tile, subject in zip(tiles, subjects, strict=True):
        cv2.putText(tile, subject.label, (6, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (15, 15, 15), 1, cv2.LINE_AA)
    columns = min(columns, len(tiles))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    return np.concatenate([np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)])


def _tile(subject: Subject, size_px: int) -> Image:
    vertices = normalise_subject(subject.vertices).apply(subject.vertices).astype(np.float32)
    faces = np.ascontiguousarray(subject.faces, np.int32)
    normals = vertex_normals(vertices.astype(np.float64), faces.astype(np.int64)).astype(np.float32)
    albedo = (subject.colors / 255.0).astype(np.float32)
    views = [_view(vertices, faces, normals, albedo, yaw, size_px) for yaw in YAWS_DEG]
    return np.concatenate([*(_cropped(view) for view in views), _cropped(_slices(vertices, faces, size_px))], axis=1)


def _view(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], normals: NDArray[np.float32], albedo: NDArray[np.float32], yaw: float, size_px: int
) -> Image:
    """(2 size, size, 3): colour above normals."""
    camera = Camera(yaw)
    buffer = rasterise(camera.world_to_ndc(vertices), faces, 2 * size_px)  # supersampled: the sheet is for looking at
    turned = normals @ camera.rotation.T.astype(np.float32)
    attributes = interpolate(buffer, faces, np.concatenate([turned, albedo], axis=1))
    normal = attributes[..., :3] / np.maximum(np.linalg.norm(attributes[..., :3], axis=-1, keepdims=True), 1e-6)
    light = 0.35 + sum(power * np.clip(normal @ (d / np.linalg.norm(d)), 0, 1) for d, power in ((KEY_LIGHT, 0.62), (FILL_LIGHT, 0.22)))
    color = attributes[..., 3:] * light[..., None] ** 0.6  # sRGB albedo under linear light, approximately
    both = np.concatenate([color, normal * 0.5 + 0.5])
    full = np.where(np.concatenate([buffer.mask] * 2)[..., None], np.clip(both, 0, 1), BACKGROUND)
    return (full.reshape(2 * size_px, 2, size_px, 2, 3).mean(axis=(1, 3)) * 255).astype(np.uint8)


def _slices(vertices: NDArray[np.float32], faces: NDArray[np.int32], size_px: int) -> Image:
    """(2 size, size, 3): the planes z = middle and x = middle, filled where the winding number says inside."""
    import cv2

    test = InsideTest(vertices, faces)
    middle = np.median(vertices, axis=0)
    axis = np.arange(-1.024, 1.024, SLICE_STEP_M) + SLICE_STEP_M / 2
    across, up = np.meshgrid(axis, -axis)
    planes = [np.stack([across, up, np.full_like(up, middle[2])], axis=-1), np.stack([np.full_like(up, middle[0]), up, across], axis=-1)]
    images = []
    for plane in planes:
        inside = test.inside(plane.reshape(-1, 3)).reshape(up.shape)
        image = np.where(inside[..., None], INSIDE_COLOR, BACKGROUND).astype(np.float32)
        images.append(cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_AREA))
    return (np.concatenate(images) * 255).astype(np.uint8)


def _cropped(image: Image) -> Image:
    """The middle columns that hold something, at least as many as a standing person needs."""
    size = image.shape[1]
    used = np.flatnonzero((np.abs(image.astype(int) - int(BACKGROUND * 255)) > 2).any(axis=(0, 2)))
    reach = int(np.abs(used - size / 2).max()) + 3 if len(used) else 0
    half = min(size // 2, max(reach, int(NARROWEST * size / 2)))
    return image[:, size // 2 - half : size // 2 + half]


def _padded(image: Image, width: int) -> Image:
    return np.pad(image, ((0, 0), (0, width - image.shape[1]), (0, 0)), constant_values=int(BACKGROUND * 255))
