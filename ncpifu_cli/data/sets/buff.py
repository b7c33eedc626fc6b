"""BUFF as released: `sequences/<subject>/<garment_action>/<garment_action>[._]<frame>.ply`, vertex colours, millimetres (design: protocol A.5).

Also the flat copies other evaluations use: `<subject>/<garment_action>.<frame>.ply`, and `<subject>_<garment_action>.<frame>.ply` in one folder. The colours
hold the scanner's light and are taken as they are.
"""

import re
from pathlib import Path

from ncpifu_cli.data.scans import ScanSource

LAYOUT = "[sequences/]<00005>/<garment_action>/<garment_action>.<000001>.ply"

_SUBJECT = re.compile(r"\d{5}")
_FRAME = re.compile(r"(?:(?P<subject>\d{5})_)?(?P<sequence>[A-Za-z]+_[A-Za-z0-9_]+?)[._](?P<frame>\d{6})")


def find(folder: Path) -> list[ScanSource]:
    """All frames, named `<subject>_<garment_action>.<frame>`."""
    if folder.is_file():
        return []
    found = []
    for file in folder.rglob("*.ply"):
        frame = _FRAME.fullmatch(file.stem)
        if frame is None:
            continue
        above = file.relative_to(folder.parent).parts[:-1]
        subject = frame["subject"] or next((part for part in reversed(above) if _SUBJECT.fullmatch(part)), None)
        if subject:
            found.append(ScanSource(f"{subject}_{frame['sequence']}.{frame['frame']}", file, "buff", shaded=True))
    return found
