"""Contact sheets: humans from several sides in colour and normals, drawn by the project's own rasteriser."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.geometry.camera import Camera, normalise_subject
from ncpifu_cli.geometry.raster import interpolate, rasterise
from ncpifu_cli.synth.topology import vertex_normals

Image = NDArray[np.uint8]

BACKGROUND = 0.55
KEY_LIGHT = np.array([-0.5, 0.6, 0.62])
FILL_LIGHT = np.array([0.8, 0.2, 0.55])
YAWS_DEG = (0.0, 90.0, 180.0, 270.0)


class Subject(NamedTuple):
    """What a sheet shows. vertices (V, 3) metres y up; faces (F, 3); colors (V, 3) uint8 sRGB."""

    label: str
    vertices: NDArray[np.floating]
    faces: NDArray[np.integer]
    colors: NDArray[np.uint8]


def contact_sheet(subjects: Sequence[Subject], size_px: int = 320, columns: int = 4) -> Image:
    """(H, W, 3) uint8: per subject two rows (shaded colour, normals) of four sides, the subject's label on top."""
    tiles = [_tile(subject, size_px) for subject in subjects]
    columns = min(columns, len(tiles))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)]
    return np.concatenate(rows)


def _tile(subject: Subject, size_px: int) -> Image:
    import cv2

    vertices = normalise_subject(subject.vertices).apply(subject.vertices).astype(np.float32)
    faces = np.ascontiguousarray(subject.faces, np.int32)
    normals = vertex_normals(vertices.astype(np.float64), faces.astype(np.int64)).astype(np.float32)
    albedo = (subject.colors / 255.0).astype(np.float32)
    views = [_view(vertices, faces, normals, albedo, yaw, size_px) for yaw in YAWS_DEG]
    image = np.concatenate([np.concatenate([view[row] for view in views], axis=1) for row in (0, 1)])
    cv2.putText(image, subject.label, (6, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (15, 15, 15), 1, cv2.LINE_AA)
    return image


def _view(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], normals: NDArray[np.float32], albedo: NDArray[np.float32], yaw: float, size_px: int
) -> tuple[Image, Image]:
    camera = Camera(yaw)
    double = 2 * size_px  # supersampled: the sheet is for looking at
    buffer = rasterise(camera.world_to_ndc(vertices), faces, double)
    turned = normals @ camera.rotation.T.astype(np.float32)
    attributes = interpolate(buffer, faces, np.concatenate([turned, albedo], axis=1))
    normal = attributes[..., :3] / np.maximum(np.linalg.norm(attributes[..., :3], axis=-1, keepdims=True), 1e-6)
    light = 0.35 + sum(power * np.clip(normal @ (d / np.linalg.norm(d)), 0, 1) for d, power in ((KEY_LIGHT, 0.62), (FILL_LIGHT, 0.22)))
    color = attributes[..., 3:] * light[..., None] ** 0.6  # sRGB albedo under linear light, approximately
    mask = buffer.mask[..., None]
    images = []
    for image in (color, normal * 0.5 + 0.5):
        full = np.where(mask, np.clip(image, 0, 1), BACKGROUND)
        small = full.reshape(size_px, 2, size_px, 2, 3).mean(axis=(1, 3))
        middle = small[:, size_px // 5 : size_px - size_px // 5] if np.allclose(small[:, : size_px // 5], BACKGROUND) else small
        images.append((_centre_pad(middle, size_px * 3 // 4) * 255).astype(np.uint8))
    return images[0], images[1]


def _centre_pad(image: NDArray[np.floating], width: int) -> NDArray[np.floating]:
    """Crop or pad columns to `width`, keeping the middle."""
    have = image.shape[1]
    if have >= width:
        start = (have - width) // 2
        return image[:, start : start + width]
    left = (width - have) // 2
    return np.pad(image, ((0, 0), (left, width - have - left), (0, 0)), constant_values=BACKGROUND)
