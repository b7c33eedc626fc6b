"""Which pixels of a photo are the person: the first source that can answer, and how far it can be trusted (design: rendering_and_masks C3).

Order: a mask file, the alpha channel, a background of one colour, a local rembg model, GrabCut in the user's box, GrabCut against a smooth background.
Where none of these holds, the answer is a rough guess with `trusted` False, and the caller decides.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.photo import Photo, read_mask_file
from ncpifu_cli.data.rembg_model import find_model, rembg_coverage
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import SILENT, Reporter

MIN_PERSON_PX = 24  # height of the smallest person worth an answer
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Mask:
    """The person in a photo.

    Attributes:
        coverage: (H, W) uint8 on the photo's working grid, 0 = background, 255 = person, soft at edges where the source is.
        source: "mask file", "alpha channel", "uniform background", "rembg <model>", "person box", "smooth background" or "guess".
        trusted: False where only a person can say whether it is right. warnings: what the user should know.
    """

    coverage: NDArray[np.uint8]
    source: str
    trusted: bool = True
    warnings: tuple[str, ...] = ()

    @property
    def binary(self) -> NDArray[np.bool_]:
        """(H, W) bool, at least half covered."""
        return self.coverage >= 128


def find_mask(photo: Photo, mask_file: Path | None = None, person_box: Box | None = None, use_rembg: bool = True, reporter: Reporter = SILENT) -> Mask:
    """The mask of the person in `photo`, cleaned and checked.

    Args:
        mask_file: white is the person. person_box: (x, y, width, height) in pixels of the upright original; limits every other source.
        use_rembg: whether a local rembg model may be used.

    Raises NcpifuError for a mask that is empty, covers the whole photo or shows a person too small to use, and for a box outside the photo.
    """
    if mask_file is not None:
        return _checked(Mask(read_mask_file(mask_file, photo), "mask file"), photo)
    box = None if person_box is None else _working_box(person_box, photo)
    mask = _automatic(photo, box, use_rembg, reporter)
    if box is not None:
        inside = np.zeros(mask.coverage.shape, bool)
        inside[box[1] : box[1] + box[3], box[0] : box[0] + box[2]] = True
        mask = replace(mask, coverage=np.where(inside, mask.coverage, 0).astype(np.uint8))
    return _checked(mask, photo)


def _automatic(photo: Photo, box: Box | None, use_rembg: bool, reporter: Reporter) -> Mask:
    from ncpifu_cli.data import grabcut

    if photo.alpha is not None and 0.001 < (photo.alpha >= 128).mean() < 0.9:  # all but opaque: rounded corners, not a cut-out
        return Mask(photo.alpha, "alpha channel")
    uniform = grabcut.uniform_background(photo.rgb)
    if uniform is not None:
        return Mask(_to_coverage(uniform), "uniform background")
    model = find_model() if use_rembg else None
    if model is not None:
        reporter.info(f"masking with rembg {model[0]} (its first use compiles for about a minute)")
        return Mask(rembg_coverage(photo.rgb, *model), f"rembg {model[0]}")
    if box is not None:
        return Mask(
            _to_coverage(grabcut.box_grabcut(photo.rgb, box)), "person box", warnings=("masked by colour inside the box: look at the outline in the preview",)
        )
    fit = grabcut.smooth_background(photo.rgb)
    note = f"masked by its smooth background (noise {fit.noise:.1f} of at most {grabcut.MAX_NOISE_LAB:.0f}): look at the outline in the preview"
    if fit.trusted and not _implausible(fit.mask):
        return Mask(_to_coverage(fit.mask), "smooth background", warnings=(note,))
    return Mask(_to_coverage(grabcut.guess(photo.rgb)), "guess", trusted=False)


def _implausible(mask: NDArray[np.bool_]) -> bool:
    """Not shaped like one person in a photo: too small, too large, in many pieces, or running out of the left, right or top border."""
    import cv2

    area = mask.mean()
    if not 0.03 <= area <= 0.7:
        return True
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    parts = np.sort(stats[1:, cv2.CC_STAT_AREA])[::-1]
    on_border = max(mask[0].mean(), mask[:, 0].mean(), mask[:, -1].mean())
    return bool(parts[0] < 0.9 * parts.sum() or on_border > 0.02)


def _checked(mask: Mask, photo: Photo) -> Mask:
    """Drop stray pieces; refuse what cannot be one person; warn about people cut off by the photo's border."""
    binary = mask.binary
    if not binary.any():
        raise NcpifuError(
            f"no person found in {photo.name}: the mask ({mask.source}) is empty", "give --mask FILE (white = person) or --person-box X,Y,WIDTH,HEIGHT"
        )
    if binary.mean() > 0.97:
        raise NcpifuError(
            f"the mask ({mask.source}) covers all of {photo.name}",
            "white must be the person and black the background; give --mask FILE or --person-box X,Y,WIDTH,HEIGHT",
        )
    border = np.concatenate([binary[0], binary[-1], binary[:, 0], binary[:, -1]])
    if mask.source == "mask file" and border.mean() > 0.6:
        raise NcpifuError(f"the mask of {photo.name} seems to be inverted: its border is white", "white must be the person and black the background")
    kept, dropped = _main_person(binary)
    coverage = np.where(_grown(kept), mask.coverage, 0).astype(np.uint8)
    rows, columns = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
    height = int(rows[-1] - rows[0] + 1)
    if height < MIN_PERSON_PX:
        raise NcpifuError(
            f"the person in {photo.name} is only {round(height / photo.scale)} px tall", "use a photo in which the person fills most of the height"
        )
    warnings = list(mask.warnings)
    if dropped:
        warnings.append("the mask shows more than one separate figure; the largest is used")
    if rows[-1] == kept.shape[0] - 1:
        warnings.append(
            "the person is cut off by the lower border: legs or feet that are not in the photo will be missing, and --height is the height of what is seen"
        )
    if rows[0] == 0:
        warnings.append("the person touches the upper border: the head may be cut off")
    if columns[0] == 0 or columns[-1] == kept.shape[1] - 1:
        warnings.append("the person touches the side of the photo: what is cut off will be missing")
    if height / photo.scale < 200:
        warnings.append(f"the person is only {round(height / photo.scale)} px tall; expect a coarse result")
    if len(columns) > 2.5 * height:
        warnings.append("the mask is much wider than tall: this tool expects a standing person")
    return replace(mask, coverage=coverage, warnings=tuple(warnings))


def _main_person(binary: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], bool]:
    """The largest connected part with the sizeable parts that overlap its bounding box (a hand behind a strap), and whether another figure was left out."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(binary.astype(np.uint8), connectivity=8)
    main = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    x, y, w, h, area = (int(value) for value in stats[main])
    keep, others = [main], False
    for label in range(1, count):
        left, top, width, height, size = (int(value) for value in stats[label])
        if label == main or size < 0.002 * area:
            continue
        centre_x, centre_y = left + width / 2, top + height / 2
        if x <= centre_x <= x + w and y <= centre_y <= y + h:
            keep.append(label)
        else:
            others = others or size > 0.1 * area
    return np.isin(labels, keep), others


def _grown(binary: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """One pixel wider, so that soft edges stay soft."""
    import cv2

    return cv2.dilate(binary.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)


def _working_box(box: Box, photo: Photo) -> Box:
    """Original pixels -> working pixels, clipped to the photo."""
    height, width = photo.rgb.shape[:2]
    left, top = max(0, round(box[0] * photo.scale)), max(0, round(box[1] * photo.scale))
    right, bottom = min(width, round((box[0] + box[2]) * photo.scale)), min(height, round((box[1] + box[3]) * photo.scale))
    if right - left < MIN_PERSON_PX / 3 or bottom - top < MIN_PERSON_PX:
        raise NcpifuError(
            f"the person box {','.join(map(str, box))} does not lie in the photo, which is {photo.size_px[0]} x {photo.size_px[1]} px",
            "write x,y,width,height in photo pixels",
        )
    return left, top, right - left, bottom - top


def _to_coverage(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return mask.astype(np.uint8) * np.uint8(255)
