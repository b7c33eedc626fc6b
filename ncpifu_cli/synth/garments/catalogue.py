"""The wardrobe. A new garment is one entry: copy the nearest one and change its values (`spec.GarmentSpec` says what each means)."""

from ncpifu_cli.synth.garments.spec import Template

_WOVEN_SLACK = (1.05, 1.10)
_STIFF = {"bend": 5e-8, "fold_bend": 4e-6, "fold_stretch": 3e-6}  # heavy cloth: jackets and coats
_KNIT = {"bend": 1e-7, "fold_bend": 5e-6, "fold_stretch": 3e-6, "slack": (1.06, 1.12), "cuffs": True, "ribbed": True}
_JEANS = ("waistband", "fly", "side_seams", "front_pockets", "back_pockets", "maybe_belt", "denim_fade")
_SLACKS = ("waistband", "fly", "side_seams", "front_pockets", "back_pockets", "maybe_belt")
_SKIRT = {"ease": (0.006, 0.012), "flare": (0.08, 0.3), "gather": (0.0, 0.25), "gores": (0.15, 0.45), "gore_count": (6, 13), "waist": 0.17}
_FLOWING = {"bend": (3e-7, 2e-6), "details": ("waistband",)}
_DRESS = {
    "ease": (0.008, 0.016),
    "neck": (0.03, 0.06),
    "flare": (0.12, 0.35),
    "gather": (0.0, 0.25),
    "gores": (0.15, 0.5),
    "gore_count": (6, 11),
    "bend": 2e-6,
    "details": ("hems", "side_seams"),
}

# fmt: off
TEMPLATES: tuple[Template, ...] = (
    Template(
        "tshirt", "top", "top",
        {"sleeve": (0.3, 0.46), "hem": (-0.08, 0.01), "ease": (0.012, 0.04), "sleeve_ease": (0.015, 0.035), "neck": (0.035, 0.07), "collar": "band",
         "details": ("hems", "side_seams", "armholes"),
         "patterns": ("plain", "plain", "logo", "logo", "stripes", "breton", "tie_dye", "block", "heather", "dots", "camo", "zigzag")},
        men=3.0, women=3.0,
    ),
    Template(
        "longsleeve", "top", "top",
        {"sleeve": (0.93, 0.99), "hem": (-0.07, 0.01), "ease": (0.01, 0.025), "sleeve_ease": (0.01, 0.02), "neck": (0.03, 0.06), "slack": (1.06, 1.12),
         "collar": "band", "details": ("hems", "side_seams", "armholes"), "patterns": ("plain", "breton", "heather", "block", "logo", "stripes")},
        men=1.5, women=1.5,
    ),
    Template(
        "sweater", "top", "top",
        {**_KNIT, "sleeve": (0.95, 1.0), "hem": (-0.04, 0.02), "ease": (0.025, 0.045), "sleeve_ease": (0.022, 0.035), "neck": (0.015, 0.04),
         "collar": "roll",
         "details": ("ribs", "armholes"), "patterns": ("knit", "knit", "stripes", "zigzag", "heather", "block")},
        men=1.5, women=1.5,
    ),
    Template(
        "hoodie", "top", "top",
        {**_KNIT, "sleeve": (0.96, 1.0), "hem": (-0.05, 0.01), "ease": (0.03, 0.05), "sleeve_ease": (0.028, 0.04), "neck": 0.03, "collar": "hood",
         "details": ("ribs", "armholes", "kangaroo_pocket", "drawstrings"), "patterns": ("plain", "plain", "heather", "logo", "block")},
        men=1.5, women=1.2,
    ),
    Template(
        "shirt", "top", "top",
        {"sleeve": (0.94, 0.98), "hem": (-0.09, 0.0), "ease": (0.016, 0.034), "sleeve_ease": (0.014, 0.026), "neck": 0.038, "slack": _WOVEN_SLACK,
         "bend": 6e-7, "collar": "shirt", "details": ("hems", "side_seams", "armholes", "placket", "maybe_chest_pocket"),
         "patterns": ("plain", "plain", "plaid", "vertical_stripes", "gingham", "denim", "dots")},
        men=1.6, women=1.0,
    ),
    Template(
        "shirt_short", "top", "top",
        {"sleeve": (0.38, 0.46), "hem": (-0.09, 0.0), "ease": (0.016, 0.034), "sleeve_ease": (0.014, 0.026), "neck": 0.038, "slack": _WOVEN_SLACK,
         "bend": 6e-7, "collar": "shirt", "details": ("hems", "side_seams", "armholes", "placket", "maybe_chest_pocket"),
         "patterns": ("floral", "plain", "plaid", "dots", "camo")},
        men=0.8, women=0.5,
    ),
    Template(
        "polo", "top", "top",
        {"sleeve": (0.34, 0.42), "hem": (-0.06, 0.01), "ease": (0.012, 0.026), "neck": 0.038, "collar": "shirt",
         "details": ("hems", "side_seams", "armholes", "short_placket"), "patterns": ("plain", "stripes", "block")},
        men=0.8, women=0.5, held_out=True,
    ),
    Template(
        "blouse", "top", "top",
        {"sleeve": (0.6, 0.95), "hem": (-0.02, 0.05), "ease": (0.02, 0.035), "sleeve_ease": 0.02, "bell": (0.0, 0.06), "neck": (0.02, 0.04),
         "v_neck": (0.0, 0.12),
         "slack": 1.04, "bend": 2e-6, "details": ("hems", "side_seams", "armholes"), "patterns": ("plain", "floral", "dots", "vertical_stripes")},
        men=0.0, women=1.1,
    ),
    Template(
        "jacket", "outer", "top",
        {**_STIFF, "sleeve": (0.96, 1.0), "hem": (-0.06, 0.03), "ease": (0.032, 0.045), "sleeve_ease": (0.026, 0.034), "neck": 0.03,
         "open_front": (0.03, 0.055),
         "slack": (1.05, 1.09), "flare": 0.03, "collar": "shirt", "details": ("hems", "side_seams", "armholes", "front_edges", "slant_pockets"),
         "patterns": ("plain", "plain", "denim", "camo", "block")},
        men=1.3, women=1.2,
    ),
    Template(
        "blazer", "outer", "top",
        {**_STIFF, "sleeve": (0.96, 1.0), "hem": (-0.1, 0.02), "ease": (0.032, 0.045), "sleeve_ease": (0.026, 0.034), "neck": 0.03,
         "open_front": (0.03, 0.055),
         "slack": (1.05, 1.09), "flare": 0.03, "collar": "lapel", "details": ("side_seams", "armholes", "front_edges", "slant_pockets"),
         "patterns": ("plain", "heather", "vertical_stripes", "plaid"), "palette": "sober"},
        men=0.9, women=0.8, held_out=True,
    ),
    Template(
        "coat", "outer", "top",
        {**_STIFF, "sleeve": 0.99, "hem": (-0.45, -0.2), "ease": (0.036, 0.05), "sleeve_ease": 0.032, "neck": 0.03, "open_front": (0.03, 0.05),
         "slack": 1.06,
         "flare": (0.05, 0.15), "collar": "lapel", "details": ("hems", "side_seams", "armholes", "front_edges", "slant_pockets"),
         "patterns": ("plain", "plain", "heather", "plaid"), "palette": "sober"},
        men=0.9, women=0.9,
    ),
    Template(
        "suit_jacket", "outer", "top",
        {**_STIFF, "sleeve": (0.94, 0.98), "hem": (-0.1, -0.04), "ease": (0.026, 0.036), "sleeve_ease": (0.02, 0.027), "neck": 0.03,
         "v_neck": (0.13, 0.18),
         "slack": (1.02, 1.05), "flare": 0.03, "crumple": 0.02, "collar": "lapel",
         "details": ("side_seams", "armholes", "closed_front", "slant_pockets", "maybe_chest_pocket"),
         "patterns": ("plain", "plain", "heather", "vertical_stripes"), "palette": "sober"},
        men=1.0, women=0.4,
    ),
    Template(
        "coat_closed", "outer", "top",
        {**_STIFF, "sleeve": 0.99, "hem": (-0.5, -0.25), "ease": (0.034, 0.045), "sleeve_ease": 0.032, "neck": 0.03, "v_neck": (0.06, 0.12), "slack": 1.05,
         "flare": (0.05, 0.2), "collar": "lapel", "details": ("hems", "side_seams", "armholes", "closed_front", "slant_pockets"),
         "patterns": ("plain", "plain", "heather", "plaid"), "palette": "sober"},
        men=0.5, women=0.8,
    ),
    Template(
        "puffer", "outer", "top",
        {**_STIFF, "sleeve": (0.95, 0.98), "hem": (-0.05, 0.05), "ease": (0.042, 0.055), "sleeve_ease": (0.034, 0.042), "neck": 0.025, "slack": 1.03,
         "cuffs": True, "crumple": 0.03, "collar": "roll", "details": ("quilting", "zip_front"), "patterns": ("plain", "plain", "plain", "block")},
        men=0.8, women=0.8,
    ),
    Template(
        "dress", "dress", "top",
        {**_DRESS, "sleeve": (0.18, 0.45), "hem": (-0.45, -0.2), "patterns": ("floral", "floral", "dots", "plain", "stripes", "gingham", "plaid")},
        men=0.0, women=1.6,
    ),
    Template(
        "dress_sleeved", "dress", "top",
        {**_DRESS, "sleeve": (0.5, 0.95), "hem": (-0.5, -0.2), "patterns": ("floral", "plain", "dots", "heather")},
        men=0.0, women=0.8,
    ),
    Template(
        "dress_long", "dress", "top",
        {**_DRESS, "sleeve": (0.18, 0.9), "hem": (-0.8, -0.5), "patterns": ("floral", "plain", "tie_dye", "dots")},
        men=0.0, women=0.9,
    ),
    Template(
        "jeans_slim", "bottom", "bottom",
        {"length": (0.95, 1.0), "waist": (0.09, 0.15), "ease": (0.004, 0.008), "hem_ease": (0.002, 0.008), "slack": (1.07, 1.13), "bend": 2e-7,
         "details": _JEANS, "patterns": ("denim",), "palette": "denim"},
        men=1.5, women=1.5,
    ),
    Template(
        "jeans_straight", "bottom", "bottom",
        {"length": (0.96, 1.02), "waist": (0.09, 0.15), "ease": (0.009, 0.014), "hem_ease": (0.014, 0.024), "slack": _WOVEN_SLACK, "bend": 1e-7,
         "fold_bend": 6e-6,
         "details": _JEANS, "patterns": ("denim",), "palette": "denim"},
        men=1.6, women=1.4,
    ),
    Template(
        "trousers", "bottom", "bottom",
        {"length": (0.95, 1.0), "waist": (0.09, 0.15), "ease": (0.009, 0.015), "hem_ease": (0.012, 0.022), "slack": (1.05, 1.09), "bend": 4e-7,
         "details": _SLACKS,
         "patterns": ("plain", "plain", "heather", "vertical_stripes", "plaid"), "palette": "sober"},
        men=1.2, women=1.2,
    ),
    Template(
        "chinos", "bottom", "bottom",
        {"length": (0.93, 1.0), "waist": (0.09, 0.15), "ease": (0.008, 0.013), "hem_ease": (0.006, 0.016), "slack": (1.05, 1.09), "bend": 4e-7,
         "details": _SLACKS,
         "palette": "sober"},
        men=1.2, women=1.0,
    ),
    Template(
        "wide", "bottom", "bottom",
        {"length": (0.9, 1.0), "waist": (0.09, 0.15), "ease": (0.014, 0.022), "hem_ease": (0.04, 0.07), "slack": 1.01, "details": _SLACKS,
         "patterns": ("plain", "denim", "floral")},
        men=0.5, women=1.2,
    ),
    Template(
        "joggers", "bottom", "bottom",
        {"length": (0.92, 0.97), "waist": (0.09, 0.15), "ease": (0.016, 0.024), "hem_ease": 0.012, "cuffs": True, "slack": (1.06, 1.12), "bend": 4e-7,
         "details": ("waistband", "side_seams", "maybe_side_stripe"), "patterns": ("plain", "plain", "heather", "camo")},
        men=1.0, women=0.9,
    ),
    Template(
        "leggings", "bottom", "bottom",
        {"length": (0.9, 1.0), "waist": (0.11, 0.16), "ease": 0.0015, "crumple": 0.0, "bend": 2e-6, "details": ("waistband",), "patterns": ("plain",
         "plain", "tie_dye")},
        men=0.0, women=0.8,
    ),
    Template(
        "shorts", "bottom", "bottom",
        {"length": (0.3, 0.56), "waist": (0.09, 0.15), "ease": (0.012, 0.024), "hem_ease": (0.02, 0.06), "slack": 1.02, "bend": 4e-7,
         "details": (*_SLACKS, "hems"),
         "patterns": ("plain", "plain", "denim", "floral", "plaid")},
        men=1.0, women=0.9,
    ),
    Template(
        "cargo_shorts", "bottom", "bottom",
        {"length": (0.4, 0.56), "waist": (0.09, 0.15), "ease": (0.014, 0.026), "hem_ease": (0.02, 0.06), "slack": 1.02, "bend": 4e-7,
         "details": (*_SLACKS, "hems", "cargo_pockets"), "patterns": ("plain", "camo")},
        men=0.6, women=0.1, held_out=True,
    ),
    Template(
        "skirt_mini", "bottom", "skirt",
        {**_SKIRT, **_FLOWING, "length": (0.28, 0.38), "patterns": ("plain", "plaid", "denim", "floral")},
        men=0.0, women=0.7,
    ),
    Template(
        "skirt_midi", "bottom", "skirt",
        {**_SKIRT, **_FLOWING, "length": (0.5, 0.7), "patterns": ("plain", "floral", "dots", "plaid")},
        men=0.0, women=0.8,
    ),
    Template(
        "skirt_tiered", "bottom", "skirt",
        {**_SKIRT, **_FLOWING, "length": (0.5, 0.9), "details": ("waistband", "tiers"), "patterns": ("plain", "plain", "floral", "dots")},
        men=0.0, women=0.6,
    ),
    Template(
        "skirt_long", "bottom", "skirt",
        {**_SKIRT, **_FLOWING, "length": (0.8, 0.95), "patterns": ("plain", "floral", "tie_dye")},
        men=0.0, women=0.6,
    ),
    Template(
        "skirt_pencil", "bottom", "skirt",
        {"length": (0.45, 0.6), "ease": (0.010, 0.014), "gather": 0.06, "crumple": 0.02, "waist": 0.17, "bend": 4e-7,
         "details": ("waistband",), "patterns": ("plain", "heather"), "palette": "sober"},
        men=0.0, women=0.5, held_out=True,
    ),
)
# fmt: on

BY_NAME = {template.name: template for template in TEMPLATES}
