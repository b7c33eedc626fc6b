"""Hair as scans see it: one smooth volume with a little relief. Caps (short hair), strands fused into a volume (long hair), hats."""

from ncpifu_cli.synth.hair.styles import STYLES, choose_style, make_hair

__all__ = ["STYLES", "choose_style", "make_hair"]
