"""RenderPeople as delivered: `rp_<name>_posed_<number>_OBJ/rp_..._100k.obj` with pictures in `tex/` (design: protocol A.2). Centimetres, y up."""

import re
from pathlib import Path

from ncpifu_cli.data.scans import ScanSource

LAYOUT = "rp_<name>_posed_<000>_OBJ/rp_<name>_posed_<000>_100k.obj with tex/rp_<name>_posed_<000>_dif_2k.jpg"

_MESH = re.compile(r"(?P<subject>rp_\w+?)(?:_(?P<thousands>\d+)k)?")


def find(folder: Path) -> list[ScanSource]:
    """The mesh with the most faces of each subject's folder; the root may be the folder of all subjects or one above it."""
    if folder.is_file():
        return []
    finest: dict[str, tuple[int, Path]] = {}
    for file in [*folder.glob("rp_*/*.obj"), *folder.glob("*/rp_*/*.obj")]:
        name = _MESH.fullmatch(file.stem)
        if name and file.parent.name in (name["subject"], f"{name['subject']}_OBJ"):
            candidate = (int(name["thousands"] or 0), file)
            finest[name["subject"]] = max(finest.get(name["subject"], candidate), candidate)
    return [ScanSource(subject, file, "renderpeople", _texture(file.parent), up="y", units="cm") for subject, (_, file) in finest.items()]


def _texture(folder: Path) -> Path | None:
    # The .mtl points elsewhere in some deliveries. The smaller picture is enough: larger ones are shrunk to 2 K anyway.
    pictures = sorted([*folder.glob("tex/*_dif_*"), *folder.glob("*_dif_*")])
    return next((picture for picture in pictures if "_2k" in picture.name), pictures[0] if pictures else None)
