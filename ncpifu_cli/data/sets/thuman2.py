"""THuman2.0 (0000 to 0525) and 2.1 (to 2444) as downloaded: `0000/0000.obj` with `material0.jpeg` beside it (design: protocol A.5).

Every scan has its own scale (heights of about 1 in 2.0, others in 2.1) and its own direction.
"""

import re
from pathlib import Path

from ncpifu_cli.data.scans import ScanSource

LAYOUT = "<0000>/<0000>.obj with <0000>/material0.jpeg"

_ID = re.compile(r"\d{4}")


def find(folder: Path) -> list[ScanSource]:
    """All scans whose folder and file share a four-digit name; the root may be the release's or the one above it."""
    if folder.is_file():
        return []
    files = [file for pattern in ("*/*.obj", "*/*/*.obj") for file in folder.glob(pattern)]
    scans = [file for file in files if file.stem == file.parent.name and _ID.fullmatch(file.stem)]
    return [ScanSource(file.stem, file, "thuman2", _texture(file.parent), units="own") for file in scans]


def _texture(folder: Path) -> Path | None:
    # The .mtl names the picture too, but in some copies by a path of the machine it was made on.
    candidates = [folder / f"material0.{suffix}" for suffix in ("jpeg", "jpg", "png")]
    return next((path for path in candidates if path.is_file()), None)
