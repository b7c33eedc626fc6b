"""The preview picture: what went in, and the mesh as clay and in colour from the front, its left side and its back."""

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.geometry.camera import Camera
from ncpifu_cli.geometry.raster import interpolate_down, rasterise
from ncpifu_cli.geometry.surface import vertex_normals

if TYPE_CHECKING:
    from ncpifu_cli.stages.reconstruct import Reconstruction

VIEWS = (("front", 0.0), ("left side", -90.0), ("back", 180.0))
OUTLINE = (255, 64, 129)
PAPER = np.array([244, 244, 242], np.float32)
INK = (70, 70, 74)
CLAY = np.array([0.74, 0.68, 0.62], np.float32)  # linear light
# direction towards the light (x right, y up, z to the camera), strength
LIGHTS = (((-0.75, 0.7, 0.45), 0.78), ((0.9, 0.0, 0.4), 0.16), ((0.0, 0.2, 1.0), 0.14))
AMBIENT = 0.07


def preview_picture(result: "Reconstruction", tile_px: int = 512) -> NDArray[np.uint8]:
    """(2 tiles + captions high, 4 tiles wide, 3) uint8: photo with the mask's outline and the framed input; clay views; coloured views."""
    ndc = result.to_ndc(result.mesh.vertices).astype(np.float32)
    faces = np.asarray(result.mesh.faces)
    colours = np.asarray(result.mesh.visual.vertex_colors)[:, :3]  # type: ignore[union-attr]
    left = [
        captioned(photo_tile(result, tile_px), "photo and mask"),
        captioned(input_tile(result, tile_px), f"what the network saw, {result.view.image.shape[0]} px"),
    ]
    columns = [np.vstack(left)]
    for name, yaw_deg in VIEWS:
        turned = _turned(ndc, yaw_deg)
        normals = vertex_normals(turned, faces)
        both, mask = _draw(turned, faces, np.hstack([normals, colours.astype(np.float32)]), tile_px)
        clay = _clay(both[..., :3])
        columns.append(np.vstack([captioned(_on_paper(clay, mask), name), captioned(_on_paper(both[..., 3:], mask), f"{name}, in colour")]))
    return np.hstack(columns)


def photo_tile(result: "Reconstruction", size_px: int) -> NDArray[np.uint8]:
    """The whole photo, fitted into a square, with the mask's outline."""
    photo, mask = result.prepared.photo, result.prepared.mask.binary
    height, width = mask.shape
    factor = size_px / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(photo.rgb, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    if photo.alpha is not None:
        cover = cv2.resize(photo.alpha, size, interpolation=cv2.INTER_AREA)[..., None].astype(np.float32) / 255
        small = (small * cover + PAPER * (1 - cover)).astype(np.uint8)
    outline = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_AREA)
    contours, _ = cv2.findContours(outline, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    drawn = np.ascontiguousarray(small)
    cv2.drawContours(drawn, contours, -1, OUTLINE, 2, cv2.LINE_AA)
    return _centred(drawn, size_px)


def input_tile(result: "Reconstruction", size_px: int) -> NDArray[np.uint8]:
    """The framed view on the black background that the network was given."""
    return cv2.resize(result.view.image, (size_px, size_px), interpolation=cv2.INTER_NEAREST)


def captioned(tile: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """The tile with a line of text under it."""
    from PIL import Image, ImageDraw, ImageFont

    font_px = max(10, tile.shape[1] // 28)
    strip = Image.new("RGB", (tile.shape[1], round(font_px * 1.9)), tuple(int(v) for v in PAPER))
    ImageDraw.Draw(strip).text((strip.width / 2, strip.height / 2), text, fill=INK, anchor="mm", font=ImageFont.load_default(font_px))
    return np.vstack([tile, np.asarray(strip)])


def clay_view(vertices_ndc: NDArray[np.floating], faces: NDArray[np.integer], yaw_deg: float, size_px: int = 512) -> NDArray[np.uint8]:
    """(S, S, 3) uint8: the mesh as lit clay on paper, turned by yaw_deg about the vertical through x = z = 0."""
    turned = _turned(np.asarray(vertices_ndc, np.float32), yaw_deg)
    normals, mask = _draw(turned, faces, vertex_normals(turned, faces), size_px)
    return _on_paper(_clay(normals), mask)


def _turned(ndc: NDArray[np.float32], yaw_deg: float) -> NDArray[np.float32]:
    return ndc @ Camera(yaw_deg).rotation.T.astype(np.float32)


def _draw(ndc: NDArray[np.float32], faces: NDArray[np.integer], attributes: NDArray[np.float32], size_px: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Attributes and mask, anti-aliased."""
    return interpolate_down(rasterise(ndc, faces, 2 * size_px), attributes)


def _clay(normals: NDArray[np.float32]) -> NDArray[np.float32]:
    """(S, S, 3) normals -> (S, S, 3) sRGB 0..255 of clay under three lights."""
    unit = normals / np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-6)
    light = np.full(unit.shape[:2], AMBIENT, np.float32)
    for direction, strength in LIGHTS:
        towards = np.array(direction, np.float32)
        light += strength * np.clip(unit @ (towards / np.linalg.norm(towards)), 0, None)
    return 255 * np.clip(light[..., None] * CLAY, 0, 1) ** (1 / 2.2)


def _on_paper(colours: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Put a picture on the paper, its outline softened by a pixel."""
    soft = cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0)[..., None] * mask[..., None]
    return np.clip(colours * soft + PAPER * (1 - soft) + 0.5, 0, 255).astype(np.uint8)


def _centred(picture: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    tile = np.empty((size_px, size_px, 3), np.uint8)
    tile[:] = PAPER.astype(np.uint8)
    top, left = (size_px - picture.shape[0]) // 2, (size_px - picture.shape[1]) // 2
    tile[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return tile
