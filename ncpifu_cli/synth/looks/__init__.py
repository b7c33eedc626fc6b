"""Colours: palettes, fabric patterns, skin with face paint, eyes. All albedo, sRGB in 0..1."""
