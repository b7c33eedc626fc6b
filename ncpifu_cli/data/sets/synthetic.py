"""Our own humans: `<subject>/mesh.drc` with `meta.json` beside it (written by `ncpifu synth`), or bare `<subject>.drc` files."""

from pathlib import Path

from ncpifu_cli.data.scans import MESH_SUFFIXES, ScanSource

LAYOUT = "<subject>/mesh.drc, or <subject>.drc"


def find(folder: Path) -> list[ScanSource]:
    """All subjects of a folder written by `synth`; y is up by construction."""
    if folder.is_file():
        files = [folder] if folder.suffix.lower() == ".drc" else []
        return [ScanSource(file.stem, file, "synthetic", up="y") for file in files]
    nested = [_made(file) for file in folder.glob("*/mesh.drc") if not file.parent.name.startswith(".")]
    files = [file for file in folder.iterdir() if file.suffix.lower() in MESH_SUFFIXES and not file.name.startswith(".")]
    if any(file.suffix.lower() != ".drc" for file in files):
        return nested  # Draco among other meshes: somebody's own collection, which the adapter of plain folders takes whole
    return nested + [ScanSource(file.stem, file, "synthetic", up="y") for file in files]


def _made(mesh: Path) -> ScanSource:
    """What `synth` made into a folder of its own."""
    description = mesh.with_name("meta.json")
    return ScanSource(mesh.parent.name, mesh, "synthetic", up="y", description=description if description.is_file() else None)
