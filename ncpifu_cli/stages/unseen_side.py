"""A picture of the side that the photo does not show, made from the photo.

The back is the front seen through the body, without what can only be in front: a colour stays where the outline at that height has it too, and everything
else (a face, a shirt in an open jacket, hands, a bag) is filled with the colours that do. So trousers stay trousers, stripes stay stripes, front and back meet
at the outline without a seam, and the back of a head is hair.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.framing import SUBJECT_SHARE, head_place

SIZE_PX = 256
COLOURS = 10  # of the palette
ALIKE_LAB = 7.5  # colours this close count for each other; lightness counts LIGHTNESS as much as hue, for the sake of folds
LIGHTNESS = 0.5
OUTLINE_SHARE = 0.012  # of the picture's side: 2.5 cm of the person along the outline say what the back is made of
# A colour is on the back too where its share of the outline is at least so much of its share of what is seen at that height, there or in the mean of its patch.
ENOUGH = 0.75
AT_MOST, HARDLY = 1.25, 0.55  # no row speaks for many others; a patch speaks for its rows down to this share
LIMB_SHARE = 0.04  # of the picture's side: skin so near to skin on the outline goes round to the back (hands, bare arms and legs, the nape)
HEAD, CROWN, HEAD_HALF_WIDTH = 0.135, 0.035, 0.075  # of the person's height, which is SUBJECT_SHARE of the picture's, also where the legs are cut off
FOREHEAD = 0.05  # of the same: faces begin above this, if not under a hat
LOWEST_CHIN, NECK = 0.175, 0.7  # of the same, under a hat; and how wide a neck is at most, in widths of the face
CHEEKS, STRANDS_HALF_WIDTH, STRAND_SHARE, LONGEST_HAIR = 0.09, 0.12, 0.01, 0.28  # of the height; a strand's width of the picture's side; of the height
NAPE, NAPE_SHADE = 0.03, 0.2  # hair ends in an arc, softly; light comes from above


def unseen_side(texture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The back as seen through the body.

    Args: texture (T, T, 3) uint8, the framed photo with its colours continued beyond the outline; mask (S, S) bool, the person.
    Returns: (U, U, 3) uint8, U = min(T, SIZE_PX), in the photo's frame, defined everywhere.
    """
    size = min(SIZE_PX, texture.shape[0])
    picture = cv2.resize(texture, (size, size), interpolation=cv2.INTER_AREA)
    inside = cv2.resize(mask.astype(np.uint8), (size, size), interpolation=cv2.INTER_AREA) > 0
    if not inside.any():
        return picture
    labels, centres = palette(picture, inside)
    skin = skin_like(picture, inside)
    edge = inside & (cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5) <= _reach(size))
    votes, content = outline_votes(labels, inside, skin, edge)
    head = _vote_for_hair(votes, labels, inside, skin)
    distance = np.linalg.norm(centres[:, None] - centres, axis=2)
    alike = np.exp(-0.5 * (distance / ALIKE_LAB) ** 2).astype(np.float32)
    support, expected = votes @ alike, content @ alike
    own, usual = (np.take_along_axis(shares, np.maximum(labels, 0)[..., None], axis=2)[..., 0] for shares in (support, expected))
    limb = skin & (cv2.distanceTransform((~(skin & edge)).astype(np.uint8), cv2.DIST_L2, 5) <= LIMB_SHARE * size)
    here = np.clip(own / np.maximum(usual, 1e-6), 0, AT_MOST)
    goes_round = (here >= ENOUGH) | ((here >= HARDLY) & (_means_of_patches(here, labels) >= ENOUGH))
    keeps = (inside & (head == 0) & (limb | goes_round)).astype(np.float32)
    kept = (keeps * np.clip(2 * cv2.GaussianBlur(keeps, (0, 0), 0.006 * size) - 0.6, 0, 1))[..., None]
    filled = _local_colours(picture, labels, keeps, support) * (1 - NAPE_SHADE * head[..., None])
    result = picture * kept + filled * (1 - kept)
    return np.where(inside[..., None], np.clip(result + 0.5, 0, 255), picture).astype(np.uint8)


def palette(picture: NDArray[np.uint8], inside: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(U, U) index of each pixel's colour in a palette, -1 outside, and the palette (COLOURS, 3) in Lab with its lightness times LIGHTNESS."""
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[inside] * np.array([LIGHTNESS, 1, 1], np.float32)
    cv2.setRNGSeed(0)  # the same photo must give the same mesh
    criteria = (cv2.TERM_CRITERIA_MAX_ITER + cv2.TERM_CRITERIA_EPS, 20, 0.5)
    _, found, centres = cv2.kmeans(lab, min(COLOURS, len(lab)), None, criteria, 1, cv2.KMEANS_PP_CENTERS)
    labels = np.full(inside.shape, -1, np.int64)
    labels[inside] = found[:, 0]
    return labels, np.pad(centres, ((0, COLOURS - len(centres)), (0, 0)), constant_values=1e3)


def outline_votes(
    labels: NDArray[np.int64], inside: NDArray[np.bool_], skin: NDArray[np.bool_], edge: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Two times (U, U, COLOURS): the share of each colour in the outline (`edge`) at a pixel's height, a little above and below, and in all that is seen there.

    Half of it is the outline of the body part that the pixel lies in: a run of `inside` pixels of a row, so that arms that hang free are parts of their own.
    Half is the row's two ends: a shirt that an open jacket shows beside an arm is at the end of its run, but not of the row. Skin votes only where there is
    nothing else: hands hang before a coat.
    """
    size = len(inside)
    starts = inside & ~np.pad(inside, ((0, 0), (1, 0)))[:, :-1]
    run = np.cumsum(starts.ravel())  # goes on behind a run's end, where nothing is counted
    row, column = (axis.ravel() for axis in np.mgrid[:size, :size])
    first, last = inside.argmax(axis=1)[row], size - 1 - inside[:, ::-1].argmax(axis=1)[row]
    near_end = np.minimum(column - first, last - column) < _reach(size)
    shares = [np.zeros((size, size, COLOURS), np.float32) for _ in range(2)]
    for group, band in ((run, edge.ravel()), (row, near_end)):
        at_outline = np.where(skin.ravel(), 0.002, band + 0.03) * inside.ravel()  # where only hands are at the outline, the rest of the run decides
        for share, counts in zip(shares, (at_outline, inside.ravel()), strict=True):
            of_groups = np.stack([np.bincount(group, counts * (labels.ravel() == label)) for label in range(COLOURS)], axis=1)
            of_groups = of_groups / np.maximum(of_groups.sum(axis=1, keepdims=True), 1e-6)
            share += of_groups[group].reshape(share.shape) * inside[..., None]
    return _smoothed(shares[0]), _smoothed(shares[1])


def _reach(size_px: int) -> float:
    """Width of the outline in pixels."""
    return max(1.5, OUTLINE_SHARE * size_px)


def _smoothed(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shares (U, U, COLOURS) mixed with those above and below, adding up to 1 again."""
    smooth = np.stack([cv2.GaussianBlur(shares[..., label], (0, 0), sigmaX=1.0, sigmaY=0.02 * len(shares)) for label in range(COLOURS)], axis=-1)
    return smooth / np.maximum(smooth.sum(axis=2, keepdims=True), 1e-6)


def _means_of_patches(values: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """(U, U) values, each replaced by the mean of its patch, the connected pixels of one colour: where a lifted knee crosses a jacket,
    the jacket goes on."""
    result = values.copy()
    for label in np.unique(labels[labels >= 0]):
        count, patch = cv2.connectedComponents((labels == label).astype(np.uint8), connectivity=8)
        pixels = patch.ravel()
        mean = np.bincount(pixels, values.ravel(), count) / np.maximum(np.bincount(pixels, minlength=count), 1)
        result[patch > 0] = mean[patch[patch > 0]]
    return result


def _vote_for_hair(votes: NDArray[np.float32], labels: NDArray[np.int64], inside: NDArray[np.bool_], skin: NDArray[np.bool_]) -> NDArray[np.float32]:
    """No face on the back of the head: what is more frequent on the crown than in the face alone counts there. A bald head keeps its votes.

    Changes `votes`; returns (U, U), 0 outside the head below its crown, there how far down it is, to 1 at the nape.
    """
    height = SUBJECT_SHARE * len(inside)
    top, middle = head_place(inside, 2 * CROWN * height)
    middle += 0.5
    row, column = np.mgrid[: len(inside), : len(inside)]
    down, aside = (row - top + 0.5) / height, np.abs(column + 0.5 - middle) / height
    near = inside & (down >= 0) & (aside < HEAD_HALF_WIDTH)  # hands may be above
    crown, face = (np.bincount(labels[part], minlength=COLOURS) / max(1, part.sum()) for part in (near & (down < CROWN), near & (down > 0.06) & (down < 0.11)))
    hair = np.clip(crown - face, 0, None)
    strands = inside & (down >= 0) & (aside < STRANDS_HALF_WIDTH) & (hair > 0.05)[labels]
    lowest = _where_hair_ends(strands & (column < middle), strands & (column > middle), down[:, 0], _chin(skin & near, down[:, 0]))
    end = lowest - NAPE * (aside / HEAD_HALF_WIDTH) ** 2
    hidden = near & ((down > CROWN) | skin) & (down < end)  # a forehead may begin in the crown
    head = np.where(hidden, np.clip((down - CROWN) / (end - CROWN), 1e-3, 1), 0).astype(np.float32)
    if hair.sum() >= 0.2:
        weight = (np.clip((end - down) / 0.02, 0, 1) * near)[..., None].astype(np.float32)  # fades out above the collar
        votes *= 1 - weight
        votes += weight * (hair / hair.sum()).astype(np.float32)
    return head


def _where_hair_ends(left: NDArray[np.bool_], right: NDArray[np.bool_], down: NDArray[np.float64], chin: float) -> float:
    """How far below the top the hair ends at the back: at the chin's height, or where long hair, on both sides from the cheeks on, does on one of them."""
    both = np.minimum(left.sum(axis=1), right.sum(axis=1)) >= STRAND_SHARE * len(down)
    ends = np.flatnonzero(~both & (down > CHEEKS))
    return float(np.clip(down[ends[0]], chin, LONGEST_HAIR)) if len(ends) else chin


def _chin(face: NDArray[np.bool_], down: NDArray[np.float64]) -> float:
    """How far below the top the face ends, as a share of the height: where its skin becomes as narrow as a neck, between HEAD and LOWEST_CHIN, each as much
    lower as the face begins lower than under hair (a hat is higher than a head); the first where it never does."""
    width = cv2.GaussianBlur(face.sum(axis=1).astype(np.float32)[:, None], (0, 0), sigmaX=1e-3, sigmaY=1.0)[:, 0]
    cheeks = np.flatnonzero((down > FOREHEAD) & (down < HEAD))
    widest = cheeks[width[cheeks].argmax()]
    if width[widest] <= 0:
        return HEAD
    lower = max(0.0, float(down[np.flatnonzero(width > 0.3 * width[widest])[0]]) - FOREHEAD)
    narrow = np.flatnonzero((width < NECK * width[widest]) & (np.arange(len(width)) > widest))
    found = float(down[narrow[0]]) if len(narrow) else 1.0
    return max(found, HEAD + lower) if found < LOWEST_CHIN + lower else HEAD + lower


def _local_colours(picture: NDArray[np.uint8], labels: NDArray[np.int64], keeps: NDArray[np.float32], support: NDArray[np.float32]) -> NDArray[np.float32]:
    """(U, U, 3) the kept colours around each pixel, those with most support there first."""
    sigma = 0.04 * len(labels)
    result, total = np.zeros(picture.shape, np.float32), np.full(labels.shape, 1e-9, np.float32)
    for label in np.unique(labels[labels >= 0]):
        of_label = (labels == label) * (keeps + 1e-3)
        mean = (picture * of_label[..., None]).sum(axis=(0, 1)) / of_label.sum()
        near = cv2.GaussianBlur(of_label.astype(np.float32), (0, 0), sigma)
        colour = (cv2.GaussianBlur((picture * of_label[..., None]).astype(np.float32), (0, 0), sigma) + 0.002 * mean) / (near + 0.002)[..., None]
        weight = support[..., label] ** 6 * (near + 0.01)
        result += weight[..., None] * colour
        total += weight
    return result / total[..., None]


def skin_like(picture: NDArray[np.uint8], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(U, U) bool: pixels with the hue of the face, in light or shade, where the middle of the head has the chroma of skin; else nothing.

    The limits in Cr and Cb are the usual ones, which hold for light and dark skin alike.
    """
    if not inside.any():
        return inside
    cr, cb = np.moveaxis(cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb)[..., 1:], 2, 0)
    usual = (cr > 135) & (cr < 180) & (cb > 80) & (cb < 128)
    height = SUBJECT_SHARE * len(inside)
    head = np.zeros_like(inside)
    top, middle = head_place(inside, 0.1 * height)  # between long hair on both sides
    head[round(top + 0.05 * height) : round(top + 0.12 * height), round(middle - 0.035 * height) : round(middle + 0.035 * height) + 1] = True
    face = head & inside & usual
    if face.sum() < 0.3 * (head & inside).sum():
        return np.zeros_like(inside)
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    hue, chroma = np.arctan2(lab[..., 2], lab[..., 1]), np.hypot(lab[..., 1], lab[..., 2])
    alike = inside & (np.abs(hue - np.median(hue[face])) < 0.3) & (chroma > 0.6 * np.median(chroma[face]))
    return cv2.morphologyEx(alike.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0  # stripes and prints are no skin
