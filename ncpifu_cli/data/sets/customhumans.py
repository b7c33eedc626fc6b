"""CustomHumans as downloaded: `mesh/<0001>_<...>/mesh-f<00001>.obj` with a picture of the same name, or its authors' training copy without `mesh/`."""

import re
from pathlib import Path

from ncpifu_cli.data.scans import ScanSource

LAYOUT = "mesh/<0001>_<...>/mesh-f<00001>.obj with mesh-f<00001>.png"

_MESH = re.compile(r"mesh-f\d+")  # mesh-f00101_smpl.obj beside it is a body model, not the scan
_FOLDER = re.compile(r"\d{4}(_\w+)?")


def find(folder: Path) -> list[ScanSource]:
    """All scans, named `<folder>_<frame>`: a person is there in several poses."""
    if folder.is_file():
        return []
    files = [file for pattern in ("*/mesh-f*.obj", "*/*/mesh-f*.obj") for file in folder.glob(pattern)]
    scans = [file for file in files if _MESH.fullmatch(file.stem) and _FOLDER.fullmatch(file.parent.name)]
    return [ScanSource(f"{file.parent.name}_{file.stem.removeprefix('mesh-')}", file, "customhumans", _texture(file)) for file in scans]


def _texture(mesh: Path) -> Path | None:
    return next((mesh.with_suffix(suffix) for suffix in (".png", ".jpg", ".jpeg") if mesh.with_suffix(suffix).is_file()), None)
