"""Any folder of meshes: `<subject>.obj`, or `<subject>/<one mesh>`."""

from pathlib import Path

from ncpifu_cli.data.scans import MESH_SUFFIXES, ScanSource

LAYOUT = "<subject>.obj|ply|glb|stl|off|drc, or one such file in each <subject>/"


def find(folder: Path) -> list[ScanSource]:
    """Bare files take their own name, a file alone in its folder takes the folder's, several in one folder take both."""
    if folder.is_file():
        return [ScanSource(folder.stem, folder, "folder")] if _is_mesh(folder) else []
    found = [ScanSource(file.stem, file, "folder") for file in folder.iterdir() if _is_mesh(file)]
    for inner in folder.iterdir():
        if not inner.is_dir() or inner.name.startswith("."):
            continue
        files = [file for file in inner.iterdir() if _is_mesh(file)]
        alone = len(files) == 1
        found += [ScanSource(inner.name if alone else f"{inner.name}_{file.stem}", file, "folder") for file in files]
    return found


def _is_mesh(path: Path) -> bool:
    return path.suffix.lower() in MESH_SUFFIXES and not path.name.startswith(".") and path.is_file()
