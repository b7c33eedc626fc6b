"""Many photos into one folder: the network is loaded once, and a photo that fails is told in its row and does not stop the rest."""

import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from ncpifu_cli.artifacts import check_writable
from ncpifu_cli.config.reconstruct import FILMS_BESIDE, MESH_FORMATS, ReconstructConfig
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import SILENT, Reporter, Task
from ncpifu_cli.stages.outputs import files_of_run
from ncpifu_cli.stages.reconstruct_files import Written, reconstruct_to_files
from ncpifu_cli.stages.weights import LoadedModel

BY_PRODUCT = re.compile(r"(.+?)_(mask|mask_guess|preview|texture)(_\d+)?")  # names of pictures that runs leave
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".heif", ".tif", ".tiff", ".bmp", ".gif")


@dataclass
class Row:
    """What became of one photo. Attributes: photo; people written; seconds of wall time; error where it failed."""

    photo: Path
    people: list[Written] = field(default_factory=list)
    seconds: float = 0.0
    error: NcpifuError | None = None


def collect_photos(inputs: Sequence[Path]) -> list[Path]:
    """Photos, folders (their photos, by name, without what earlier runs have left) and .txt lists (one path a line, relative to the list, `#` starts a
    comment) -> photos, each once.

    Raises NcpifuError for a folder or list without photos and for a list that cannot be read. Photos themselves are not looked at.
    """
    photos: list[Path] = []
    for path in inputs:
        if os.path.isdir(path):
            files = [file for file in path.glob("[!.]*") if os.path.isfile(file)]
            stems = {file.stem for file in files if file.suffix.lower() in (*PHOTO_SUFFIXES, *MESH_FORMATS)}
            found = sorted(file for file in files if file.suffix.lower() in PHOTO_SUFFIXES and not _left_by_a_run(file, stems))
        elif path.suffix.lower() == ".txt":
            found = [path.parent / line for line in _lines(path)]
        else:
            found = [path]
        if not found:
            raise NcpifuError(f"there is no photo in {path}", f"photos end in: {', '.join(PHOTO_SUFFIXES)}")
        photos.extend(found)
    return list(dict.fromkeys(photos))


def reconstruct_batch(
    photos: Sequence[Path],
    folder: Path,
    suffix: str,
    config: ReconstructConfig,
    load: Callable[[], LoadedModel],
    reporter: Reporter = SILENT,
    rows: list[Row] | None = None,
) -> list[Row]:
    """Reconstruct every photo into `<folder>/<photo><suffix>`; photos of the same name get `_2`, `_3`, ...

    `config.mask` is a folder with `<photo>.png` (`<photo>_2.png`, ...) here, and `config.save_mask` a folder to write the same to. No photo of the batch is
    replaced. `rows` is filled as the work goes on, so that a caller who is interrupted knows how far it came. Raises NcpifuError only for what is wrong for
    every photo.
    """
    rows = [] if rows is None else rows
    if config.mask is not None and not os.path.isdir(config.mask):
        raise NcpifuError(f"{config.mask} is not a folder", "with several photos --mask is a folder with a <photo>.png for each")
    if config.turntable is not None and config.turntable.lower() not in FILMS_BESIDE:
        raise NcpifuError(f"the films of several photos cannot all be {config.turntable}", "with several photos --turntable is mp4 or gif")
    check_writable(folder, folder / f"<photo>{suffix}")
    names = _distinct([photo.stem for photo in photos])
    with reporter.task("photos", len(photos)) as task:
        for photo, name in zip(photos, names, strict=True):
            task.advance(0, note=photo.name)
            row, started, named = Row(photo), time.perf_counter(), _Naming(reporter, photo.name)
            try:
                row.people = reconstruct_to_files(photo, folder / f"{name}{suffix}", _own_masks(config, name), load, named, photos)
            except (NcpifuError, OSError) as error:  # OSError: of a folder that may not be looked into
                told = error if isinstance(error, NcpifuError) else NcpifuError(f"{error.filename or photo}: {error.strerror or error}")
                row.error = NcpifuError(told.message, told.hint, told.exit_code)  # without its traceback, which holds the photo
                named.warn(f"failed: {told.message}" + (f" ({told.hint})" if told.hint else ""))
            row.seconds = time.perf_counter() - started
            rows.append(row)
            task.advance()
    return rows


@dataclass(frozen=True)
class _Naming:
    """A reporter that says which photo its messages are about."""

    reporter: Reporter
    name: str

    def info(self, message: str) -> None:
        self.reporter.info(self._named(message))

    def warn(self, message: str) -> None:
        self.reporter.warn(self._named(message))

    def task(self, description: str, total: float | None) -> AbstractContextManager[Task]:
        return self.reporter.task(description, total)

    def _named(self, message: str) -> str:
        return message if self.name in message else f"{self.name}: {message}"


def _own_masks(config: ReconstructConfig, name: str) -> ReconstructConfig:
    """The settings for one photo: files in place of the folders of masks."""
    own = {key: str(Path(folder) / f"{name}.png") for key in ("mask", "save_mask") if (folder := getattr(config, key)) is not None}
    return config.model_copy(update=own)


def _left_by_a_run(picture: Path, stems: set[str]) -> bool:
    """Whether it is a preview, or a mask, a draft of one or a texture of something whose stem is one of the photos' and meshes' beside it."""
    if picture.name in files_of_run(picture.with_suffix(".json")):
        return True
    named = BY_PRODUCT.fullmatch(picture.stem) if picture.suffix == ".png" else None
    return named is not None and named[1] in stems


def _distinct(names: Sequence[str]) -> list[str]:
    """Each once: what comes again gets the first number whose name is nobody's own."""
    own, taken, distinct = set(names), set[str](), []
    for name in names:
        number, unique = 1, name
        while unique in taken or (number > 1 and unique in own):
            number += 1
            unique = f"{name}_{number}"
        taken.add(unique)
        distinct.append(unique)
    return distinct


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").replace("\0", "").splitlines()
    except FileNotFoundError as error:
        raise NcpifuError(f"the list {path} does not exist", "check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise NcpifuError(f"the list {path} is not readable text", "write one photo a line") from error
    return [line for line in (line.split("#")[0].strip() for line in lines) if line]
