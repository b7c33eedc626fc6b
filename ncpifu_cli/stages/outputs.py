"""Names of the files of one reconstruction, checked before the work starts."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ncpifu_cli.artifacts import check_writable
from ncpifu_cli.config.reconstruct import COLOURED_FORMATS, FILMS_BESIDE, MESH_FORMATS, TEXTURED_FORMATS, ReconstructConfig
from ncpifu_cli.errors import NcpifuError

SIDECAR_FORMAT = "ncpifu-reconstruction"
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

    What the user names is replaced, but for `inputs`. Files that get their names here replace only what an earlier run has left there (its sidecar tells):
    the preview is `<mesh>.png`, or `<mesh>_preview.png` (`_2`, ...) where another picture lies, and so is a mask that was not named.
    `person`: the number of one of several people, which every name gets.
    Raises NcpifuError for an unknown extension, a target that is a folder, an input or a file of somebody else's, two targets of one name, a name that is too
    long, a folder that cannot be written, and a package that a format needs and that is not installed.
    """
    mesh = _numbered(Path(mesh), person)
    if mesh.suffix.lower() not in MESH_FORMATS and not _is_the_mask(mesh, config):
        ending = f"{mesh.suffix or '(no extension)'!r} in {mesh}"
        if config.mask_only:
            raise NcpifuError(f"masks are not written as {ending}", "end the name in .png")
        raise NcpifuError(f"unknown mesh format {ending}", f"end the name in one of: {', '.join(MESH_FORMATS)}")
    _check_length(mesh)
    kept = {path.resolve() for path in inputs}
    ours = files_of_run(mesh.with_suffix(".json"))
    outputs = _masks_alone(mesh, config, kept, person) if config.mask_only else _all_files(mesh, config, kept, ours, person)
    targets = outputs.wanted() if not config.mask_only else [path for path in (outputs.mask,) if path is not None]
    named, taken = _named_by_the_user(mesh, config, person), set[Path]()
    for path in targets:
        if path.resolve() in taken:
            raise NcpifuError(f"two of the files would both be {path}", "give one of them another name, or --no-preview")
        taken.add(path.resolve())
        _check_target(path, kept)
        if path not in named and path.name not in ours and os.path.exists(path):
            raise NcpifuError(f"writing {path} would replace a file that no earlier run has left", "choose another name with -o, or move that file")
    return outputs


def files_of_run(sidecar: Path) -> frozenset[str]:
    """The names of the files that a run left beside its sidecar, itself among them; none where it is no sidecar of this project's."""
    try:
        told = json.loads(sidecar.read_text(encoding="utf-8"))
        if told["format"] != SIDECAR_FORMAT:
            return frozenset()
        mesh = Path(told["mesh"]["file"])
        usual = {mesh.name, mesh.with_suffix(".png").name, mesh.with_suffix(".html").name} - {told["photo"]["file"]}  # of older versions, which do not tell
        return frozenset([sidecar.name, *told.get("written", usual)])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return frozenset()


def draft_path(mesh: Path, inputs: Sequence[Path], draft: bytes) -> Path:
    """Where the PNG of a mask goes that could not be trusted: `<mesh>_mask_guess.png`, with a number where that is one of `inputs` or holds anything else,
    such as what a user has made of an earlier draft."""
    kept = {path.resolve() for path in inputs}

    def free(path: Path) -> bool:
        return path.resolve() not in kept and (not os.path.exists(path) or (path.is_file() and path.read_bytes() == draft))

    return _first_free(mesh.with_name(f"{mesh.stem}_mask_guess.png"), free)


def _first_free(path: Path, free: Callable[[Path], bool]) -> Path:
    """The path, or the first of `<stem>_2`, `_3`, ... that is free."""
    first, number = path, 1
    while not free(path):
        number += 1
        path = first.with_stem(f"{first.stem}_{number}")
    return path


def _is_the_mask(mesh: Path, config: ReconstructConfig) -> bool:
    """Whether -o names the mask itself."""
    return config.mask_only and config.save_mask is None and mesh.suffix.lower() == ".png"


def _masks_alone(mesh: Path, config: ReconstructConfig, kept: set[Path], person: int | None) -> Outputs:
    if config.save_mask is not None:
        mask = _numbered(Path(config.save_mask), person)
    elif _is_the_mask(mesh, config):
        mask = mesh
    else:
        mask = _first_free(mesh.with_name(f"{mesh.stem}_mask.png"), lambda path: path.resolve() not in kept and not os.path.exists(path))
    return Outputs(mesh, mesh.with_suffix(".json"), mask=_png(mask))


def _named_by_the_user(mesh: Path, config: ReconstructConfig, person: int | None) -> set[Path]:
    """What -o and the options name in full."""
    films = [] if config.turntable is None or config.turntable.lower() in FILMS_BESIDE else [config.turntable]
    return {mesh, *(_numbered(Path(name), person) for name in [*films, *([] if config.save_mask is None else [config.save_mask])])}


def _all_files(mesh: Path, config: ReconstructConfig, kept: set[Path], ours: frozenset[str], person: int | None) -> Outputs:
    def free(path: Path) -> bool:
        return path.resolve() not in kept and (path.name in ours or not os.path.exists(path))

    preview = mesh.with_suffix(".png")
    if not free(preview):
        preview = _first_free(mesh.with_name(f"{mesh.stem}_preview.png"), free)
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
    _check_length(path)
    if os.path.isdir(path):
        raise NcpifuError(f"cannot write {path}: it is a folder", "give a file name")
    check_writable(path.parent, path)


def _check_length(path: Path) -> None:
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in path.parts):
        raise NcpifuError(f"the name {path.name[:40]}... is too long for a file", f"{LONGEST_NAME} bytes at most: give a shorter one with -o")


def _numbered(path: Path, person: int | None) -> Path:
    return path if person is None else path.with_name(f"{path.stem}_{person}{path.suffix}")
