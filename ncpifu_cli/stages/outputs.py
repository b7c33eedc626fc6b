"""Names of the files of one reconstruction, checked before the work starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ncpifu_cli.artifacts import atomic_path
from ncpifu_cli.config.reconstruct import MESH_FORMATS, ReconstructConfig
from ncpifu_cli.errors import NcpifuError


@dataclass(frozen=True)
class Outputs:
    """Files of one person; None where not asked for."""

    mesh: Path
    sidecar: Path
    preview: Path | None = None
    mask: Path | None = None

    def wanted(self) -> list[Path]:
        """All that will be written."""
        return [path for path in vars(self).values() if path is not None]


def plan_outputs(mesh: Path, config: ReconstructConfig, inputs: Sequence[Path] = (), person: int | None = None) -> Outputs:
    """Names of the files that will be written, checked now, so that a typing error does not cost a reconstruction.

    The preview is `<mesh>.png`, or `<mesh>_preview.png` where that is one of `inputs`: person.png -> person.obj must not replace the photo.
    `person`: the number of one of several people, which every name gets.
    Raises NcpifuError for an unknown extension, a target that is a folder or an input, two targets of one name, and a folder that cannot be written.
    """
    mesh = _numbered(Path(mesh), person)
    if mesh.suffix.lower() not in MESH_FORMATS:
        raise NcpifuError(f"unknown mesh format {mesh.suffix or '(no extension)'!r} in {mesh}", f"end the name in one of: {', '.join(MESH_FORMATS)}")
    mask = None if config.save_mask is None else _numbered(Path(config.save_mask), person)
    if mask is not None and mask.suffix.lower() != ".png":
        raise NcpifuError(f"a mask is written as PNG, not {mask.suffix or '(no extension)'!r}", "end its name in .png")
    kept = {path.resolve() for path in inputs}
    preview = mesh.with_suffix(".png")
    if preview.resolve() in kept:
        preview = mesh.with_name(f"{mesh.stem}_preview.png")
    outputs = Outputs(mesh, mesh.with_suffix(".json"), preview if config.preview else None, mask)
    if config.mask_only:
        mask = mask or mesh.with_name(f"{mesh.stem}_mask.png")
        outputs = Outputs(mesh, mesh.with_suffix(".json"), None, mask)
    targets = [outputs.mask] if config.mask_only and outputs.mask is not None else outputs.wanted()
    if len({path.resolve() for path in targets}) != len(targets):
        raise NcpifuError(f"the mask would overwrite the preview {outputs.preview}", "give --save-mask another name, or --no-preview")
    for path in targets:
        _check_target(path, kept)
    return outputs


def _check_target(path: Path, kept: set[Path]) -> None:
    if path.resolve() in kept:
        raise NcpifuError(f"writing {path} would replace an input file", "choose another name")
    if path.is_dir():
        raise NcpifuError(f"cannot write {path}: it is a folder", "give a file name")
    with atomic_path(path.parent / f".{path.name}.probe") as probe:  # creates the folder and shows whether it can be written
        probe.unlink()
        probe.touch()
    (path.parent / f".{path.name}.probe").unlink()


def _numbered(path: Path, person: int | None) -> Path:
    return path if person is None else path.with_name(f"{path.stem}_{person}{path.suffix}")
