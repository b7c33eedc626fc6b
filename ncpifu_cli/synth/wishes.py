"""Wishes for a human checked against what exists, before minutes of work are spent on them."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from ncpifu_cli.config.synth import GarmentWish, Wishes
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.synth.garments.catalogue import BY_NAME, TEMPLATES
from ncpifu_cli.synth.garments.details import DETAILS
from ncpifu_cli.synth.garments.outfit import outfit_of
from ncpifu_cli.synth.hair import STYLES
from ncpifu_cli.synth.looks.fabric import HELD_OUT_PATTERNS, PATTERNS
from ncpifu_cli.synth.looks.palette import PALETTES
from ncpifu_cli.synth.phenotype import EXPRESSIONS, HELD_OUT_EXPRESSIONS, Phenotype
from ncpifu_cli.synth.poses import FAMILIES
from ncpifu_cli.synth.props import PROPS
from ncpifu_cli.synth.shoes import BARE, KINDS
from ncpifu_cli.synth.streams import Streams


def check(wishes: Wishes) -> None:
    """Raise NcpifuError for a name that does not exist (listing those that do), a value out of range, or an outfit that leaves people bare."""
    for key, value in wishes.body.items():
        _known("body parameter", key, [f.name for f in fields(Phenotype)])
        if not 0 <= value <= 1:
            raise NcpifuError(f"body: {key} must lie in 0 .. 1, not {value}")
    if wishes.pose is not None:
        _known("pose", wishes.pose.family, FAMILIES)
        if wishes.pose.stance is not None:
            _known("stance", wishes.pose.stance, [f.name for f in FAMILIES.values() if f.limbs == "legs"])
    if wishes.expression is not None:
        _known("expression", wishes.expression, EXPRESSIONS)
    if wishes.shoes is not None:
        _known("shoes", wishes.shoes, (*KINDS, BARE))
    if wishes.hair is not None:
        _known("hair style", wishes.hair, STYLES)
    for name in wishes.props or ():
        _known("prop", name, PROPS)
    if wishes.outfit is not None:
        _check_outfit(wishes.outfit)


def held_out(wishes: Wishes) -> list[str]:
    """Names among the wishes that otherwise only humans of the `ood` split show, sorted."""
    rare = {f.name for f in FAMILIES.values() if f.held_out} | {t.name for t in TEMPLATES if t.held_out} | HELD_OUT_PATTERNS
    rare |= {s.name for s in STYLES.values() if s.held_out} | {p.name for p in PROPS.values() if p.held_out} | set(HELD_OUT_EXPRESSIONS)
    wished = {wishes.expression, wishes.hair, *(wishes.props or ())}
    if wishes.pose is not None:
        wished |= {wishes.pose.family, wishes.pose.stance}
    for worn in wishes.outfit or ():
        wished |= {worn.garment, worn.pattern}
    return sorted(name for name in wished if name in rare)


def as_described(wishes: Wishes) -> dict[str, Any]:
    """What was wished for, JSON-able; empty without wishes."""
    return wishes.model_dump(mode="json", exclude_defaults=True)


def _check_outfit(outfit: tuple[GarmentWish, ...]) -> None:
    for worn in outfit_of(outfit, Streams(0)):
        _known("pattern", worn.pattern, PATTERNS)
        _known("palette", worn.spec.palette, PALETTES)
        for detail in worn.spec.details:
            _known("detail", detail, DETAILS)
    slots = {BY_NAME[wish.garment].slot for wish in outfit}
    if "dress" not in slots and not {"top", "bottom"} <= slots:
        raise NcpifuError("the outfit leaves people bare", "it needs a dress, or a bottom and a top")


def _known(what: str, name: str, names: Iterable[str]) -> None:
    known = list(names)
    if name not in known:
        raise NcpifuError(f"unknown {what} {name!r}", f"there are: {', '.join(sorted(known))}")
