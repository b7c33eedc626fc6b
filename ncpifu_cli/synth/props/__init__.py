"""Things worn or held: glasses, telephone, bags, scarf, tie, hood."""

from ncpifu_cli.synth.props import carried, glasses, neckwear  # noqa: F401  (importing them registers the props)
from ncpifu_cli.synth.props.wearer import PROPS, Wearer, choose_props, make_props

__all__ = ["PROPS", "Wearer", "choose_props", "make_props"]
