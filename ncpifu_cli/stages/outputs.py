"""Names of the files of one reconstruction, checked before the work starts."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ncpifu_cli.artifacts import check_writable
from ncpifu_cli.config.reconstruct import COLOURED_FORMATS, FILMS_BESIDE, MESH_FORMATS, TEXTURED_FORMATS, ReconstructConfig
from ncpifu_cli.errors import NcpifuError

LONGEST_NAME = 255  # bytes, on all common file systems


@dataclass(frozen=True)
class Outputs:
    """Files of one person; None where not asked for."""

    mesh: Path
    sidecar: Path
    preview: Path | None = None
    mask: Path | None = None
    material: Path | None = None
    texture: Path | None = None
    confidence: Path | None = None
    turntable: Path | None = None
    html: Path | None = None

    def wanted(self) -> list[Path]:
        """All that will be written."""
        return [path for path in vars(self).values() if path is not None]


def plan_outputs(mesh: Path, config: ReconstructConfig, inputs: Sequence[Path] = (), person: int | None = None) -> Outputs:
    """Names of the files that will be written, checked now, so that a typing error does not cost a reconstruction.

    The preview is `<mesh>.png`, or `<mesh>_preview.png` where that is one of `inputs` or lies there without a sidecar: person.png -> person.obj must not
    replace the photo, nor a mask that was drawn by hand.
    `person`: the number of one of several people, which every name gets.
    Raises NcpifuError for an unknown extension, a target that is a folder or an input, two targets of one name, a folder that cannot be written, and a package
    that a format needs and that is not installed.
    """
    mesh = _numbered(Path(mesh), person)
    if mesh.suffix.lower() not in MESH_FORMATS and not _is_the_mask(mesh, config):
        raise NcpifuError(f"unknown mesh format {mesh.suffix or '(no extension)'!r} in {mesh}", f"end the name in one of: {', '.join(MESH_FORMATS)}")
    kept = {path.resolve() for path in inputs}
    outputs = _masks_alone(mesh, config, person) if config.mask_only else _all_files(mesh, config, kept, person)
    targets = outputs.wanted() if not config.mask_only else [path for path in (outputs.mask,) if path is not None]
    taken: set[Path] = set()
    for path in targets:
        if path.resolve() in taken:
            raise NcpifuError(f"two of the files would both be {path}", "give one of them another name, or --no-preview")
        taken.add(path.resolve())
        _check_target(path, kept)
    return outputs


def draft_path(mesh: Path, inputs: Sequence[Path]) -> Path:
    """Where a mask goes that could not be trusted: `<mesh>_mask_guess.png`, with a number where that is one of `inputs`."""
    kept, number = {path.resolve() for path in inputs}, 1
    draft = first = mesh.with_name(f"{mesh.stem}_mask_guess.png")
    while draft.resolve() in kept:
        number += 1
        draft = first.with_stem(f"{first.stem}_{number}")
    return draft


def _is_the_mask(mesh: Path, config: ReconstructConfig) -> bool:
    """Whether -o names the mask itself."""
    return config.mask_only and config.save_mask is None and mesh.suffix.lower() == ".png"


def _masks_alone(mesh: Path, config: ReconstructConfig, person: int | None) -> Outputs:
    if config.save_mask is not None:
        mask = _numbered(Path(config.save_mask), person)
    else:
        mask = mesh if _is_the_mask(mesh, config) else mesh.with_name(f"{mesh.stem}_mask.png")
    return Outputs(mesh, mesh.with_suffix(".json"), mask=_png(mask))


def _all_files(mesh: Path, config: ReconstructConfig, kept: set[Path], person: int | None) -> Outputs:
    preview = mesh.with_suffix(".png")
    if preview.resolve() in kept or (preview.exists() and not mesh.with_suffix(".json").exists()):  # a picture of the user's, not an older preview
        preview = mesh.with_name(f"{mesh.stem}_preview.png")  # _check_target looks whether that is one, too
    in_obj = config.texture and mesh.suffix.lower() == ".obj"
    if config.texture:
        _check_texture(mesh)
    coloured = mesh.suffix if mesh.suffix.lower() in COLOURED_FORMATS else ".ply"
    return Outputs(
        mesh,
        mesh.with_suffix(".json"),
        preview if config.preview else None,
        None if config.save_mask is None else _png(_numbered(Path(config.save_mask), person)),
        mesh.with_suffix(".mtl") if in_obj else None,
        mesh.with_name(f"{mesh.stem}_texture.png") if in_obj else None,
        mesh.with_name(f"{mesh.stem}_confidence{coloured}") if config.confidence else None,
        None if config.turntable is None else _turntable(config.turntable, mesh, person),
        mesh.with_suffix(".html") if config.html else None,
    )


def _check_texture(mesh: Path) -> None:
    if mesh.suffix.lower() not in TEXTURED_FORMATS:
        raise NcpifuError(f"{mesh.suffix} cannot hold a texture", f"with --texture end the name in one of: {', '.join(TEXTURED_FORMATS)}")
    from ncpifu_cli.stages.texture import import_xatlas

    import_xatlas()


def _turntable(wanted: str, mesh: Path, person: int | None) -> Path:
    from ncpifu_cli.stages.turntable import check_format

    path = mesh.with_suffix(f".{wanted.lower()}") if wanted.lower() in FILMS_BESIDE else _numbered(Path(wanted), person)
    check_format(path)
    return path


def _png(mask: Path) -> Path:
    if mask.suffix.lower() != ".png":
        raise NcpifuError(f"a mask is written as PNG, not {mask.suffix or '(no extension)'!r}", "end its name in .png")
    return mask


def _check_target(path: Path, kept: set[Path]) -> None:
    if path.resolve() in kept:
        raise NcpifuError(f"writing {path} would replace an input file", "choose another name")
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise NcpifuError(f"the name {path.name[:40]}... is too long for a file", f"{LONGEST_NAME} bytes at most: give a shorter one with -o")
    if path.is_dir():
        raise NcpifuError(f"cannot write {path}: it is a folder", "give a file name")
    check_writable(path.parent, path)


def _numbered(path: Path, person: int | None) -> Path:
    return path if person is None else path.with_name(f"{path.stem}_{person}{path.suffix}")
