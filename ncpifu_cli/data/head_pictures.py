"""What the network of heads learns from: heads alone, drawn once without light, and lit and photographed anew each time they are looked at.

A picture is a function of a numpy generator.
"""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import atomic_path
from ncpifu_cli.config.train import AugmentConfig
from ncpifu_cli.data.augment import photographic, random_placement
from ncpifu_cli.data.backdrops import Backdrops, Rng
from ncpifu_cli.data.light import GAMMA, environment
from ncpifu_cli.data.network_input import HEAD_CENTRE_NDC, HEAD_HALF_NDC, HEAD_PX, masked_input, true_colours
from ncpifu_cli.data.normal_crops import NormalCrop, repatterned
from ncpifu_cli.data.relight import lit_share, relit
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry import sh
from ncpifu_cli.geometry.camera import HALF_EXTENT_M, Camera
from ncpifu_cli.geometry.raster import interpolate_down, rasterise
from ncpifu_cli.geometry.surface import vertex_normals

Floats = NDArray[np.float32]
VIEW_PX = HEAD_PX * 5 // 4  # drawn with a margin, so that a smaller or shifted head is not cut off
VIEW_NDC = HEAD_HALF_NDC * VIEW_PX / HEAD_PX  # half a view's side
WIDEST_YAW_DEG, PITCH_DEG = 85, 9  # of cameras; the second is a standard deviation
ANYWHERE = 0.15  # views from any side, so that nobody photographed from behind gets a face
DIRECTIONS, SHADOW_PX = 10, 160  # of light that is looked for in creases, and at which size
DARKEST = 0.02
PHOTO = AugmentConfig(stretch=0.0, shift_ndc=0.14, cut=0.0, scale=0.22, roll_deg=14.0, blur_px=3.0, prints=0.0, color=0.3, hue_turn=0.03)
PATTERNED = 0.3  # hats and hair; few faces are painted


@dataclass(frozen=True)
class HeadView:
    """A head as a camera sees it, without light, all (S, S, ...), 0 beside it: albedo (3) uint8 sRGB, normals (3) float16 in the camera's frame, depth float16
    in half sides of the view, NaN beside the head."""

    albedo: NDArray[np.uint8]
    normals: NDArray[np.float16]
    depth: NDArray[np.float16]


def draw_head(vertices_m: NDArray[np.floating], faces: NDArray[np.integer], colors: NDArray[np.uint8], crown_m: NDArray[np.floating], rng: Rng) -> HeadView:
    """From somewhere before it. vertices_m (V, 3) of a person of 1.80 m, y up, facing +z; colors (V, 3) sRGB; crown_m (3,), the top of the head."""
    yaw_deg = rng.uniform(-180, 180) if rng.random() < ANYWHERE else float(np.clip(rng.normal(0, 0.5), -1, 1)) * WIDEST_YAW_DEG
    camera = Camera(yaw_deg, float(rng.normal(0, PITCH_DEG)))
    middle = np.asarray(crown_m, np.float64) - (0, HEAD_CENTRE_NDC * HALF_EXTENT_M, 0)
    points = (camera.world_to_ndc(np.asarray(vertices_m, np.float64) - middle) / VIEW_NDC).astype(np.float32)
    buffer = rasterise(points, faces, 2 * VIEW_PX)
    drawn, mask = interpolate_down(buffer, np.hstack([vertex_normals(points, faces), colors.astype(np.float32), points[:, 2:]]))
    normals = drawn[..., :3] * np.where(drawn[..., 2:3] < 0, -1, 1)  # inner sides of what is open
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-6)
    depth = np.where(mask, drawn[..., 6], np.nan)
    return HeadView(np.clip(drawn[..., 3:6] + 0.5, 0, 255).astype(np.uint8), (normals * mask[..., None]).astype(np.float16), depth.astype(np.float16))


def save_views(path: Path, views: list[HeadView]) -> None:
    """One file, a few hundred kilobytes a view; atomic."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            albedo=np.stack([view.albedo for view in views]),
            normals=np.stack([view.normals for view in views]),
            depth=np.stack([view.depth for view in views]),
            view_ndc=np.array(VIEW_NDC),
        )


def read_views(path: Path) -> list[HeadView]:
    """What `save_views` wrote. NcpifuError names a file that cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if stored["albedo"].shape[1] != VIEW_PX or stored["view_ndc"] != VIEW_NDC:
                raise ValueError("they are of another size or scale")
            return [HeadView(*parts) for parts in zip(stored["albedo"], stored["normals"], stored["depth"], strict=True)]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise NcpifuError(f"{path} holds no drawn heads: {error}", "delete it and draw it again") from error


def draw_picture(view: HeadView, rng: Rng, backdrops: Backdrops) -> NormalCrop:
    """The head lit and photographed badly: pictures of HEAD_PX."""
    placement = random_placement(PHOTO, rng)
    known = ~np.isnan(view.depth)
    inner = slice((VIEW_PX - HEAD_PX) // 2, (VIEW_PX + HEAD_PX) // 2)
    window = (inner, inner)
    cover = placement.image(known.astype(np.float32))[window]
    albedo = true_colours(placement.image(view.albedo.astype(np.float32) * known[..., None])[window], cover)
    normals = np.moveaxis(placement.image(view.normals.astype(np.float32))[window], 2, 0)
    normals[:2] = np.tensordot(placement.matrix / placement.scale, normals[:2], 1)
    length = np.linalg.norm(normals, axis=0)
    normals = np.where((cover > 0.999) & (length > 0.5), normals / np.maximum(length, np.float32(0.5)), 0).astype(np.float32)
    above = placement.image(np.where(known, view.depth.astype(np.float32) + 4, 0).astype(np.float32), cv2.INTER_NEAREST)  # what comes in from outside is 0
    depth = np.where(above > 0, (above - 4) * placement.scale, np.nan).astype(np.float32)
    depth = cv2.resize(depth, (SHADOW_PX, SHADOW_PX), interpolation=cv2.INTER_NEAREST)
    color = albedo if rng.random() >= PATTERNED else repatterned(rng, albedo, cover, backdrops)
    color = np.clip(color * received(depth, normals, window, rng) ** np.float32(1 / GAMMA), 0, 255)
    color = relit(rng, color, normals, depth, window, VIEW_PX)
    color, cover = photographic(np.ascontiguousarray(color), np.ascontiguousarray(cover), PHOTO, rng)
    return NormalCrop(masked_input(color, cover), np.concatenate([normals, np.zeros_like(normals)]))


def received(depth: Floats, normals: Floats, window: tuple[slice, slice], rng: Rng) -> Floats:
    """(H, W, 3) light of a random environment, on average 1, that reaches each place of a window of a view past what stands before it.

    depth (s, s) of the whole view, in its half sides, NaN beside the head; normals (3, H, W); window: rows and columns of VIEW_PX.
    """
    light = environment(rng)
    towards = sh.fibonacci_sphere(2 * DIRECTIONS)
    towards = (towards @ _any_turn(rng).T).astype(np.float32)
    radiance = np.maximum(sh.basis(towards) @ light, 0).astype(np.float32)
    facing = np.maximum(normals.reshape(3, -1).T @ towards.T, 0)
    for number in np.flatnonzero(towards[:, 2] > 0):  # what comes from behind lights rims alone, and nothing that is seen stands before it
        facing[:, number] *= cv2.resize(lit_share(depth, towards[number]), (VIEW_PX, VIEW_PX), interpolation=cv2.INTER_LINEAR)[window].ravel()
    total = (facing @ radiance).reshape(*normals.shape[1:], 3)
    lit = np.any(normals != 0, axis=0)
    if not lit.any():
        return np.ones_like(total)
    return np.where(lit[..., None], np.maximum(total / max(float(total[lit].mean()), 1e-3), DARKEST), 1).astype(np.float32)


def _any_turn(rng: Rng) -> NDArray[np.float64]:
    """(3, 3) a random rotation."""
    turn, upper = np.linalg.qr(rng.normal(size=(3, 3)))
    return turn * np.sign(np.diag(upper))
