"""Our own humans: `<subject>/mesh.drc` with `meta.json` beside it (written by `ncpifu synth`), or bare `<subject>.drc` files."""

from pathlib import Path

from ncpifu_cli.data.scans import ScanSource

LAYOUT = "<subject>/mesh.drc, or <subject>.drc"


def find(folder: Path) -> list[ScanSource]:
    """All subjects of a folder written by `synth`; y is up by construction."""
    if folder.is_file():
        files = [folder] if folder.suffix.lower() == ".drc" else []
        return [ScanSource(file.stem, file, "synthetic", up="y") for file in files]
    nested = [ScanSource(file.parent.name, file, "synthetic", up="y") for file in folder.glob("*/mesh.drc") if not file.parent.name.startswith(".")]
    bare = [ScanSource(file.stem, file, "synthetic", up="y") for file in folder.glob("*.drc") if not file.name.startswith(".")]
    return nested + bare
