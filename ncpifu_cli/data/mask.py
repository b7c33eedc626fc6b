"""Which pixels of a photo are the person: the first source that can answer, and how far it can be trusted (design: rendering_and_masks C3).

Order: a mask file, the alpha channel, a background of one colour, a local rembg model, BlazePose with our matting network, GrabCut in the user's box, GrabCut
against a smooth background. Where none of these holds, the answer is a rough guess with `trusted` False, and the caller decides.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.config.reconstruct import Person
from ncpifu_cli.data.blazepose import FoundPerson, find_blazepose, find_people
from ncpifu_cli.data.figures import people_apart, separate_figures
from ncpifu_cli.data.person_mask import MIN_PERSON_PX, Mask, described, reaches_below, soft_at_the_outline
from ncpifu_cli.data.photo import Photo, read_mask_file
from ncpifu_cli.data.rembg_model import rembg_coverage, resolve_model, wanted_model
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import SILENT, Reporter

TRUSTED_MATTE = 0.7  # expected intersection over union above which the matting network is believed (docs/matting.md)
WIDEST = 2.0  # times as wide as tall: arms stretched out from a half-length portrait; beyond, only a source that knows people is believed
SURE_MATTE = 0.8  # below it, the outline must be plausible, and a look at it is asked for
SAME = 0.9  # from which on they draw the same outline: two that know nothing of each other, so no look at it is asked for
AGREEMENT = 0.7  # intersection over union from which on colour and matting network speak of the same person
Box = tuple[int, int, int, int]
People = tuple[FoundPerson, ...]


class UntrustedMask(NcpifuError):
    """No source could find the person reliably; `draft` is the best guess, on the working grid of `photo`."""

    def __init__(self, photo: Photo, draft: Mask) -> None:
        if draft.confidence is None:
            reason = "the background is busy"
        elif draft.confidence < TRUSTED_MATTE:
            reason = f"the matting network is only {int(100 * draft.confidence)}% sure"
        else:
            reason = f"the matting network is {int(100 * draft.confidence)}% sure, but what it found runs out of the picture or is not shaped like one person"
        super().__init__(
            f"could not find the person in {photo.name} reliably: {reason}",
            "give --mask FILE (white = person) or --person-box X,Y,WIDTH,HEIGHT, use a cut-out PNG, or install a rembg model (`ncpifu doctor` tells how); "
            "--allow-rough-mask goes on with the guess",
            exit_code=3,
        )
        self.photo = photo
        self.draft = draft

    def __reduce__(self) -> tuple:
        return type(self), (self.photo, self.draft)


def find_masks(
    photo: Photo,
    mask_file: Path | None = None,
    person_box: Box | None = None,
    person: Person = "largest",
    mask_model: str = "auto",
    reporter: Reporter = SILENT,
) -> list[Mask]:
    """The masks of the people in `photo` who are asked for, cleaned and checked.

    Args:
        mask_file: white is the person. person_box: (x, y, width, height) in pixels of the upright original; nothing outside counts.
        person: "largest", "all", or n for the n-th from the left; people are the separate figures of the mask. mask_model: see `ReconstructConfig`.

    Raises NcpifuError for a mask that is empty, covers the whole photo or shows people too small to use, for a person who is not there, and for a box
    outside the photo.
    """
    box = None if person_box is None else _working_box(person_box, photo)
    drawn = _drawn(photo, mask_file)
    asked = drawn is None or reaches_below(drawn.binary)
    people = find_people(photo.rgb, box) if asked else ()
    mask = drawn or _automatic(photo, box, people, person, mask_model, reporter)
    mask = replace(mask, networks=(*mask.networks, *((asked and find_blazepose()) or ())))
    if box is not None:
        inside = np.zeros(mask.coverage.shape, bool)
        inside[box[1] : box[1] + box[3], box[0] : box[0] + box[2]] = True
        mask = replace(mask, coverage=np.where(inside, mask.coverage, 0).astype(np.uint8))
    _check(mask, photo)
    pieces = separate_figures(mask.binary)
    figures = _apart(pieces, people) if drawn is None else pieces  # what is one piece of the user's own mask is one person
    if len(figures) > len(pieces):
        mask = replace(mask, warnings=(*mask.warnings, "people who touch were taken apart: look at the outline between them"))
    return [described(figure, photo, people) for figure in _chosen(figures, mask, photo, person)]


def _drawn(photo: Photo, mask_file: Path | None) -> Mask | None:
    """The user's own mask."""
    if mask_file is not None:
        return Mask(read_mask_file(mask_file, photo), "mask file")
    if photo.alpha is not None and 0.001 < (photo.alpha >= 128).mean() < 0.9:  # all but opaque: rounded corners, not a cut-out
        return Mask(photo.alpha, "alpha channel")
    return None


def _automatic(photo: Photo, box: Box | None, people: People, person: Person, mask_model: str, reporter: Reporter) -> Mask:
    from ncpifu_cli.data import grabcut

    wanted = wanted_model(mask_model)
    model = resolve_model(wanted, reporter)
    uniform = grabcut.uniform_background(photo.rgb) if wanted in ("auto", "none") else None  # who names a model wants that model
    if uniform is not None:
        return Mask(_to_coverage(uniform), "uniform background")
    if model is not None:
        reporter.info(f"masking with rembg {model[0]} (its first use compiles for about a minute)")
        return Mask(rembg_coverage(photo.rgb, *model), f"rembg {model[0]}")
    matte = _matte(photo, box, people, person) if wanted == "auto" else None
    by_color = _smooth(photo) if box is None else None
    if matte is not None and matte.trusted:
        # Before a smooth background colour draws the finer outline; what it outlines is the person where the network sees one there as well.
        overlap = 0.0 if by_color is None else _overlap(matte, by_color)
        if by_color is None or overlap < AGREEMENT:
            return matte
        return replace(by_color, warnings=(*(by_color.warnings if overlap < SAME else ()), *matte.warnings), networks=matte.networks)
    if box is not None:
        note = "masked by colour inside the box: look at its outline"
        return Mask(_to_coverage(grabcut.box_grabcut(photo.rgb, box)), "person box", warnings=(note,))
    return by_color or matte or Mask(_to_coverage(grabcut.guess(photo.rgb)), "guess", trusted=False)


def _smooth(photo: Photo) -> Mask | None:
    """The answer of colour before a smooth background; None where the background is not smooth or no person stands out from it."""
    from ncpifu_cli.data import grabcut

    fit = grabcut.smooth_background(photo.rgb)
    if not fit.trusted or _implausible(fit.mask):
        return None
    note = f"masked by its smooth background (noise {fit.noise:.1f}; smooth is below {grabcut.MAX_NOISE_LAB:.0f}): look at its outline"
    return Mask(_to_coverage(fit.mask), "smooth background", warnings=(note,))


def _overlap(first: Mask, second: Mask) -> float:
    """Intersection over union."""
    return float((first.binary & second.binary).sum() / max((first.binary | second.binary).sum(), 1))


def _matte(photo: Photo, box: Box | None, people: People, person: Person) -> Mask | None:
    """The answer of the project's own network; None where it is not installed or sees nobody. Everyone who is asked for must look like a person."""
    from ncpifu_cli.data.matting import estimate_mask, find_matting_weights

    weights = find_matting_weights()
    if weights is None:
        return None
    found = estimate_mask(photo.rgb, box, people)
    coverage = np.clip(found.alpha * 255 + 0.5, 0, 255).astype(np.uint8)
    if not (coverage >= 128).any():
        return None
    confidence = round(found.confidence, 3)
    if confidence >= SURE_MATTE:
        return Mask(coverage, "matting network", confidence=confidence, networks=(weights,))
    note = f"the matting network is only fairly sure ({confidence:.2f} of 1): look at its outline"
    figures = _apart(separate_figures(coverage >= 128), people)
    judged = _selected(figures, person) or figures
    trusted = confidence >= TRUSTED_MATTE and not any(_implausible(figure, one_of=len(figures)) for figure in judged)
    return Mask(coverage, "matting network", trusted, (note,), confidence, (weights,))


def _implausible(mask: NDArray[np.bool_], one_of: int = 1) -> bool:
    """Not shaped like one person (of `one_of`) in a photo: too small, too large, in many pieces, lying, or running out of the left, right or top border."""
    import cv2

    area = mask.mean()
    if not 0.03 / one_of <= area <= 0.7:
        return True
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    parts = np.sort(stats[1:, cv2.CC_STAT_AREA])[::-1]
    on_border = max(mask[0].mean(), mask[:, 0].mean(), mask[:, -1].mean())
    tall, wide = (int(np.ptp(np.flatnonzero(mask.any(axis=axis)))) + 1 for axis in (1, 0))
    return bool(parts[0] < 0.9 * parts.sum() or on_border > 0.02 or wide > WIDEST * tall)


def _check(mask: Mask, photo: Photo) -> None:
    """Refuse what cannot show a person."""
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


def _chosen(figures: list[NDArray[np.bool_]], mask: Mask, photo: Photo, person: Person) -> list[Mask]:
    """The masks of the figures that are asked for, each with its soft edge. `figures` from left to right."""
    if isinstance(person, int) and person > len(figures):
        raise NcpifuError(
            f"there is no person {person} in {photo.name}: the mask ({mask.source}) shows {len(figures)}",
            "people are counted from the left; those who touch and could not be told apart are one: separate them with --mask FILE or --person-box",
        )
    wanted, warnings = _selected(figures, person), mask.warnings
    if person == "largest" and len(figures) > 1:
        warnings = (*warnings, f"the mask shows {len(figures)} figures; the largest is used (--person 1 to {len(figures)} from the left, or all)")
    return [replace(mask, coverage=soft_at_the_outline(mask.coverage, figure), warnings=warnings) for figure in wanted]


def _apart(pieces: list[NDArray[np.bool_]], people: People) -> list[NDArray[np.bool_]]:
    """The people in the pieces of a mask from left to right, also those who touch."""
    figures = [part for piece in pieces for part in people_apart(piece, people)]
    return sorted(figures, key=lambda figure: float(np.nonzero(figure)[1].mean()))


def _selected(figures: list[NDArray[np.bool_]], person: Person) -> list[NDArray[np.bool_]]:
    """Those of the figures (from left to right) that are asked for; none where there are fewer than `person`."""
    if person == "all":
        return figures
    return figures[person - 1 : person] if isinstance(person, int) else [max(figures, key=np.count_nonzero)]


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
