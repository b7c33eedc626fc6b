"""The mask of one person: soft at its outline, with what a user should know of how the photo shows them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.blazepose import FoundPerson
from ncpifu_cli.data.figures import head_count, person_in
from ncpifu_cli.data.photo import Photo
from ncpifu_cli.data.visible_share import visible_share
from ncpifu_cli.errors import NcpifuError

MIN_PERSON_PX = 24  # height of the smallest person worth an answer
BORDER = 0.003  # of the photo's longer side: a mask that comes so close to the border has reached it; outlines are smoothed there
EDGE = 0.02  # of the person's height: how far inside its outline, half covered, a person may be soft: hair, blur
CROWN = 0.1  # of the mask's height: at its top a whole head is narrower, a face, neck or trunk that the border cuts wider


@dataclass(frozen=True)
class Mask:
    """The person in a photo.

    Attributes:
        coverage: (H, W) uint8 on the photo's working grid, 0 = background, 255 = person, soft at edges where the source is.
        source: "mask file", "alpha channel", "uniform background", "rembg <model>", "matting network", "person box", "smooth background" or "guess".
        confidence: 0..1 where the source says how sure it is (the expected intersection over union with the truth).
        trusted: False where only a person can say whether it is right. warnings: what the user should know.
        networks: files of the project's networks that were asked, BlazePose's and the matting network's.
        shown: share of the person's height that is in the photo, less than 1 where they are cut off by the lower border (`visible_share`).
    """

    coverage: NDArray[np.uint8]
    source: str
    trusted: bool = True
    warnings: tuple[str, ...] = ()
    confidence: float | None = None
    networks: tuple[Path, ...] = ()
    shown: float = 1.0

    @property
    def binary(self) -> NDArray[np.bool_]:
        """(H, W) bool, at least half covered."""
        return self.coverage >= 128


def reaches_below(binary: NDArray[np.bool_]) -> bool:
    """Whether a mask (H, W) reaches the lower border."""
    return bool(binary[-1 - round(BORDER * max(binary.shape)) :].any())


def described(mask: Mask, photo: Photo, people: Sequence[FoundPerson]) -> Mask:
    """The mask of one person with warnings about how the photo shows them, and the share of them that it shows. Raises NcpifuError where they are too small.

    Args: people: whom BlazePose sees, in pixels of the working grid.
    """
    kept = mask.binary
    rows, columns = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
    height = int(rows[-1] - rows[0] + 1)
    if height < MIN_PERSON_PX:
        raise NcpifuError(
            f"the person in {photo.name} is only {round(height / photo.scale)} px tall", "use a photo in which the person fills most of the height"
        )
    warnings = list(mask.warnings)
    slack, cut_below = round(BORDER * max(kept.shape)), reaches_below(kept)
    shown = visible_share(kept, person_in(kept, people)) if cut_below else 1.0
    if shown < 1:
        warnings.append(
            f"the person is cut off by the lower border: the photo shows about {shown:.0%} of them, and only that is made (--height is the whole person's)"
        )
    elif cut_below:
        warnings.append("the person touches the lower border: the feet may be cut off")
    head_cut = rows[0] <= slack and kept[rows[0] : rows[0] + slack + 1].any(axis=0).sum() > CROWN * height
    if rows[0] <= slack:
        warnings.append(
            "the head is cut off by the upper border and will be missing"
            + ("" if shown < 1 else ": the rest is taken for a whole person and will be too large; use a photo that shows the head")
            if head_cut
            else "the person touches the upper border: the head may be cut off"
        )
    if columns[0] <= slack or columns[-1] >= kept.shape[1] - 1 - slack:
        warnings.append("the person touches the side of the photo: what is cut off will be missing")
    # two people are wider than one who is cut off and looks like them, so `shown` may be wrong: then 6 % of single people seem to have two heads
    heads = max(head_count(kept, height / share) for share in {shown, 1.0})
    if heads > 1 and not head_cut:
        warnings.append(f"the outline seems to have {heads} heads: people who touch are made as one; separate them with --person-box or --mask FILE")
    if height / photo.scale < 200:
        warnings.append(f"the person is only {round(height / photo.scale)} px tall; expect a coarse result")
    if len(columns) > 2.5 * height:
        warnings.append("the mask is much wider than tall: what is beside the frame is cut off; turn a photo of somebody who lies upright")
    return replace(mask, warnings=tuple(warnings), shown=shown)


def soft_at_the_outline(coverage: NDArray[np.uint8], figure: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The coverage of one figure: soft at its outline (one pixel outside, EDGE inside), whole within, nothing elsewhere.

    Half-tones of 50 % and more inside a person are a model's doubts, or the grey somebody drew with, not the background shining through: taken for that,
    they would darken what the networks see and lose their colours to their neighbours' (`framing.without_fringe`).
    """
    import cv2

    drawn = figure.astype(np.uint8)
    edge = max(EDGE * (np.ptp(np.flatnonzero(figure.any(axis=1))) + 1), 2)
    inside = cv2.distanceTransform(drawn, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)  # whom the photo cuts off is whole up to its border
    least = np.clip(255 * (0.5 + 0.5 * (inside - 1) / edge), 0, 255).astype(np.uint8)
    grown = cv2.dilate(drawn, np.ones((3, 3), np.uint8)).astype(bool)
    return np.where(figure, np.maximum(coverage, least), np.where(grown, coverage, 0)).astype(np.uint8)
