"""The preview picture: what went in, and the mesh from four sides as clay, in colour and, where asked for, by confidence."""

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.framing import SUBJECT_SHARE
from ncpifu_cli.data.renderer_raster import RasterRenderer
from ncpifu_cli.geometry.camera import HALF_EXTENT_M, Camera, Similarity
from ncpifu_cli.geometry.mesh import Scan, TexturedUV
from ncpifu_cli.geometry.raster import interpolate_down, rasterise
from ncpifu_cli.geometry.surface import vertex_normals
from ncpifu_cli.stages.confidence import confidence_colours

if TYPE_CHECKING:
    from ncpifu_cli.stages.reconstruct import Reconstruction

VIEWS = (("front", 0.0), ("left side", -90.0), ("back", 180.0), ("right side", 90.0))
OUTLINE = (255, 64, 129)
PAPER = np.array([244, 244, 242], np.float32)
INK = (70, 70, 74)
CLAY_SRGB = (222, 214, 205)
# direction towards the light (x right, y up, z to the camera), strength
LIGHTS = (((-0.7, 0.7, 0.5), 0.95), ((0.9, 0.0, 0.4), 0.16), ((0.0, 0.2, 1.0), 0.05))
AMBIENT = 0.04
CONTRAST = 1.6  # less than a screen's 2.2: relief is what the picture is looked at for
GLOSS, GLOSS_TOWARDS, GLOSS_POWER = 0.12, (-0.35, 0.4, 1.0), 25
_IDENTITY = Similarity(1.0, ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)), (0.0, 0.0, 0.0))


def preview_picture(result: "Reconstruction", tile_px: int = 512) -> NDArray[np.uint8]:
    """(rows of tiles and captions high, 5 tiles wide, 3) uint8: photo with the mask's outline and the framed input; the mesh from four sides.

    Tiles are `tile_px` high and as wide as the person needs, the first column's as the photo needs.
    """
    ndc = filling(result)
    faces = np.asarray(result.mesh.faces)
    crop = crop_for(ndc, tile_px)
    tiles = [photo_tile(result, tile_px), input_tile(result, tile_px)]
    columns = [[captioned(tiles[0], "photo and mask"), captioned(tiles[1], "what the network sees")]]
    if result.confidence is not None:
        columns[0].append(captioned(np.full_like(tiles[0], PAPER.astype(np.uint8)), "violet: a guess, yellow: sure"))
    scan, painted = painted_scan(result), RasterRenderer(tile_px)
    unlit = np.ones_like(scan.vertices)
    painted.load(scan)
    for name, yaw_deg in VIEWS:
        turned = _turned(ndc, yaw_deg)
        attributes = [vertex_normals(turned, faces)]
        if result.confidence is not None:
            attributes.append(confidence_colours(result.confidence).astype(np.float32))
        drawn, mask = _draw(turned, faces, np.hstack(attributes), tile_px)
        view = painted.view(Camera(yaw_deg), unlit)
        pictures = [(name, clay(drawn[..., :3]), mask), (f"{name}, in colour", view.rgb.astype(np.float32), view.mask)]
        if result.confidence is not None:
            pictures.append((f"{name}, confidence", drawn[..., 3:], mask))
        columns.append([captioned(on_paper(picture, inside)[:, crop], text) for text, picture, inside in pictures])
    return np.hstack([np.vstack(column) for column in columns])


def painted_scan(result: "Reconstruction") -> Scan:
    """The mesh with its colours, or its texture, in normalised metres, half a person enlarged: what renderers take."""
    vertices = filling(result) * np.float32(HALF_EXTENT_M)
    faces = np.asarray(result.mesh.faces, np.int32)
    normals = vertex_normals(vertices, faces)
    colours = np.ascontiguousarray(np.asarray(result.mesh.visual.vertex_colors)[:, :3])  # type: ignore[union-attr]
    texture = result.texture
    if texture is None:
        return Scan("person", vertices, faces, colours, normals, _IDENTITY)
    split, uv = texture.source, TexturedUV(texture.image, texture.uv)
    return Scan("person", vertices[split], texture.faces, colours[split], normals[split], _IDENTITY, uv)


def filling(result: "Reconstruction") -> NDArray[np.float32]:
    """(V, 3) the mesh's vertices in NDC, as tall as whole people are: a half-length portrait fills the picture too, as far as its width lets it."""
    ndc = result.to_ndc(result.mesh.vertices)
    low, high = ndc[:, 1].min(), ndc[:, 1].max()
    zoom = min(2 * SUBJECT_SHARE / (high - low), max(1.0, 0.95 / float(np.linalg.norm(ndc[:, [0, 2]], axis=1).max())))
    return ((ndc - (0, (low + high) / 2, 0)) * zoom).astype(np.float32)


def crop_for(ndc: NDArray[np.float32], size_px: int) -> slice:
    """The columns of a square view that the person fills from any side; an even number, at least 40 % of the square."""
    reach = float(np.linalg.norm(ndc[:, [0, 2]], axis=1).max())
    half = min(size_px // 2, max(round(0.2 * size_px), int(np.ceil(reach * size_px / 2)) + size_px // 32))
    return slice(size_px // 2 - half, size_px // 2 + half)


def photo_tile(result: "Reconstruction", size_px: int) -> NDArray[np.uint8]:
    """The whole photo with the mask's outline, size_px high and half to one time as wide."""
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
    tile = np.full((size_px, max(size[0], size_px // 2), 3), PAPER.astype(np.uint8))
    top, left = (size_px - drawn.shape[0]) // 2, (tile.shape[1] - drawn.shape[1]) // 2
    tile[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
    return tile


def input_tile(result: "Reconstruction", size_px: int) -> NDArray[np.uint8]:
    """The framed view that the network was given, its black background replaced by paper (dark clothes would vanish), as wide as the photo's tile."""
    cover = result.view.coverage[..., None]
    framed = np.clip(result.view.image * cover + PAPER * (1 - cover) + 0.5, 0, 255).astype(np.uint8)
    square = cv2.resize(framed, (size_px, size_px), interpolation=cv2.INTER_CUBIC)
    width = photo_tile(result, size_px).shape[1]
    left = (size_px - width) // 2
    return square[:, left : left + width]


def captioned(tile: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """The tile with a line of text under it."""
    from PIL import Image, ImageDraw, ImageFont

    font_px = max(10, tile.shape[0] // 30)
    strip = Image.new("RGB", (tile.shape[1], round(font_px * 1.9)), tuple(int(v) for v in PAPER))
    ImageDraw.Draw(strip).text((strip.width / 2, strip.height / 2), text, fill=INK, anchor="mm", font=ImageFont.load_default(font_px))
    return np.vstack([tile, np.asarray(strip)])


def clay_view(vertices_ndc: NDArray[np.floating], faces: NDArray[np.integer], yaw_deg: float, size_px: int = 512) -> NDArray[np.uint8]:
    """(S, S, 3) uint8: the mesh as lit clay on paper, turned by yaw_deg about the vertical through x = z = 0."""
    turned = _turned(np.asarray(vertices_ndc, np.float32), yaw_deg)
    normals, mask = _draw(turned, faces, vertex_normals(turned, faces), size_px)
    return on_paper(clay(normals), mask)


def clay(normals: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., 3) normals in the camera's frame -> (..., 3) sRGB 0..255 of clay under three lights."""
    unit = normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
    return np.minimum(clay_light(unit)[..., None] * np.array(CLAY_SRGB, np.float32), 255)


def clay_light(unit_normals: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., 3) -> (...) what the three lights, and a little gloss, make of a colour in sRGB."""
    light = np.full(unit_normals.shape[:-1], AMBIENT, np.float32)
    for direction, strength in LIGHTS:
        light += strength * _facing(unit_normals, direction)
    return light ** np.float32(1 / CONTRAST) + np.float32(GLOSS) * _facing(unit_normals, GLOSS_TOWARDS) ** GLOSS_POWER


def _facing(unit_normals: NDArray[np.float32], direction: tuple[float, float, float]) -> NDArray[np.float32]:
    """(..., 3) -> (...) the cosine to a direction, 0 where turned away."""
    towards = np.array(direction, np.float32)
    return np.clip(unit_normals @ (towards / np.linalg.norm(towards)), 0, None)


def on_paper(colours: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Put a picture on the paper, its outline softened by a pixel."""
    soft = cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0)[..., None] * mask[..., None]
    return np.clip(colours * soft + PAPER * (1 - soft) + 0.5, 0, 255).astype(np.uint8)


def _turned(ndc: NDArray[np.float32], yaw_deg: float) -> NDArray[np.float32]:
    return ndc @ Camera(yaw_deg).rotation.T.astype(np.float32)


def _draw(ndc: NDArray[np.float32], faces: NDArray[np.integer], attributes: NDArray[np.float32], size_px: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Attributes and mask, anti-aliased."""
    return interpolate_down(rasterise(ndc, faces, 2 * size_px), attributes)
