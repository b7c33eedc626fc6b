"""What stages leave on disk: atomic files and folders, JSON, content hashes. Nothing here knows a network or a mesh.

Folders of the project's data root (default `data/`):

    scans/<subject>/mesh.drc, meta.json          written by `synth` (or any scans the user has)
    renders/<subject>/rgb/YYY.jpg, mask/YYY.png, depth/YYY.png, samples.npz, subject.json      written by `render`
    runs/<run>/config.json, last.safetensors, ...                               written by `train`
    eval/<report>/...                                                           written by `eval`

`<subject>` starts with `train-`, `test-` or `ood-` for our own humans; `train` never reads `test-` and `ood-`.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ncpifu_cli.errors import NcpifuError

HELD_OUT_PREFIXES = ("test-", "ood-")


def default_root() -> Path:
    """The data root: `$NCPIFU_DATA` or `./data`."""
    return Path(os.environ.get("NCPIFU_DATA", "data"))


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary name beside `target`, renamed to it when the block ends well and removed when it does not.

    Keeps the suffix (writers choose their format by it). Raises NcpifuError when the folder cannot be written.
    """
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".tmp-", suffix="-" + target.name, dir=target.parent)
        os.close(handle)
    except OSError as error:
        raise NcpifuError(f"cannot write {target}: {error.strerror or error}", "choose an output folder that can be written") from error
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; give them what a plain open() would have given.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        try:
            os.replace(temporary, target)
        except OSError as error:
            raise NcpifuError(f"cannot write {target}: {error.strerror or error}", "is it a folder, or open elsewhere?") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Like `atomic_path` for a whole folder; an existing `target` is replaced only when the block ends well."""
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".tmp-", suffix="-" + target.name, dir=target.parent))
    except OSError as error:
        raise NcpifuError(f"cannot write {target}: {error.strerror or error}", "choose an output folder that can be written") from error
    try:
        yield temporary
        temporary.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        os.replace(temporary, target)
    finally:
        if temporary.exists():
            shutil.rmtree(temporary)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, sort_keys=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file; NcpifuError names it when it is missing or broken."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NcpifuError(f"{path} does not exist") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise NcpifuError(f"{path} is not readable JSON: {error}") from error


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else hashlib.sha256(file.read()).hexdigest()


def stable_hash(value: Any) -> str:
    """First 16 hex digits of the SHA-256 of a JSON-able value; equal values have equal hashes on every machine."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]
