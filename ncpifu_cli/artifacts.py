"""What stages leave on disk: atomic files and folders, JSON, content hashes. Nothing here knows a network or a mesh.

Folders of the project's data root (default `data/`):

    scans/<subject>/mesh.drc, meta.json          written by `synth` (or any scans the user has)
    renders/<subject>/rgb/YYY.jpg, mask/YYY.png, depth/YYY.png, samples.npz, subject.json      written by `render`
    runs/<run>/config.json, last.safetensors, ...                               written by `train`
    eval/<report>/...                                                           written by `eval`

`<subject>` starts with `train-`, `test-` or `ood-` for our own humans; `train` never reads `test-` and `ood-`.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncpifu_cli.errors import NcpifuError

if TYPE_CHECKING:
    from torch import Tensor

HELD_OUT_PREFIXES = ("test-", "ood-")
_PACKAGE = Path(__file__).resolve().parent
WEIGHTS_FOLDERS = (_PACKAGE.parent / "weights",) if (_PACKAGE.parent / "pyproject.toml").is_file() else ()  # of a clone; a wheel brings none
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
STALE_S = 24 * 3600  # what another machine left is taken for abandoned after a day


def default_root() -> Path:
    """The data root: `$NCPIFU_DATA` or `./data`."""
    return Path(os.environ.get("NCPIFU_DATA", "data"))


def released_files() -> dict[str, Path]:
    """File name -> path of all weights that came with this installation."""
    found: dict[str, Path] = {}
    for folder in WEIGHTS_FOLDERS:
        for path in sorted((*folder.glob("*.safetensors"), *folder.glob("*.onnx"))):
            found.setdefault(path.name, path)
    return found


def own_weights(file_name: str, variable: str) -> Path | None:
    """A small network of the project: the file that the environment's `variable` names where it is set ("none": none), else the released one.

    None without any. Raises NcpifuError where the named file is not there.
    """
    named = os.environ.get(variable)
    if not named:
        return released_files().get(file_name)
    if named == "none":
        return None
    path = Path(named).expanduser()
    if not path.is_file():
        raise NcpifuError(f"${variable} names {named}, which is no file", f"give the path of a {file_name}, 'none', or unset it")
    return path


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary name beside `target`, renamed to it when the block ends well and removed when it does not.

    Keeps the suffix (writers choose their format by it). Raises NcpifuError when the folder cannot be written and when the disk is full.
    """
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=temporary_prefix(), suffix=target.suffix, dir=target.parent)
        os.close(handle)
    except OSError as error:
        raise _unwritable(target, error) from error
    temporary = Path(name)
    try:
        try:
            yield temporary
        except OSError as error:
            if error.errno not in DISK_ERRORS:
                raise
            raise NcpifuError(f"cannot write {target}: {error.strerror or error}", "free some space; what was there before is untouched") from error
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
        temporary = Path(tempfile.mkdtemp(prefix=temporary_prefix(), dir=target.parent))
    except OSError as error:
        raise _unwritable(target, error) from error
    old = temporary.with_name(f"{temporary.name}-old")
    try:
        yield temporary
        temporary.chmod(0o755)
        if target.is_symlink():
            target.unlink()  # the folder that it shows stays
        elif target.is_dir():
            os.replace(target, old)
        os.replace(temporary, target)
    finally:
        if old.exists() and not target.exists():
            os.replace(old, target)  # interrupted between the two
        for left in (temporary, old):
            if left.exists():
                shutil.rmtree(left)


@contextmanager
def waiting_for(folder: Path) -> Iterator[None]:
    """Run the block when no other process of this machine runs one for the same folder; at once where it cannot be locked."""
    with _locked(folder, wait=True):
        yield


@contextmanager
def only_one(folder: Path, what: str) -> Iterator[None]:
    """Keep other processes of this machine out of `folder` for the length of the block; NcpifuError, which says `what` another one does, where it is in."""
    with _locked(folder, wait=False) as mine:
        if not mine:
            raise NcpifuError(f"another process {what} {folder}", "wait for it, stop it, or choose another folder")
        yield


@contextmanager
def _locked(folder: Path, wait: bool) -> Iterator[bool]:
    """Hold the folder's lock, which ends with this process however it ends. False where another process holds it; True also where there are no locks."""
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):  # no POSIX system; no such folder
        yield True
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:  # a file system without locks
            pass
        yield True
    finally:
        os.close(handle)


def check_writable(folder: Path, target: Path | None = None) -> None:
    """NcpifuError, which names `target` (the folder itself without one), where `folder` cannot be made or no file can be made in it: said before the work.

    Leaves nothing behind: what fails later leaves no empty folder.
    """
    present = Path(folder).absolute()
    while not os.path.exists(present) and present != present.parent:
        present = present.parent
    try:
        with tempfile.TemporaryFile(dir=present):
            pass
    except OSError as error:
        raise _unwritable(target or folder, error) from error


def _unwritable(target: Path, error: OSError) -> NcpifuError:
    """What to tell the user of a file or folder that cannot be made."""
    blocking = next((parent for parent in Path(target).absolute().parents if os.path.isfile(parent)), None)
    if blocking is not None:
        return NcpifuError(f"cannot write {target}: {blocking} is a file, not a folder", "choose another output folder")
    return NcpifuError(f"cannot write {target}: {error.strerror or error}", "choose an output folder that can be written")


def temporary_prefix() -> str:
    """How the names of this process's temporary files and folders start. It says whose they are, so that `remove_leftovers` can tell."""
    return f".tmp-{_machine()}-{os.getpid()}-"


def remove_leftovers(folder: Path) -> None:
    """Delete what killed processes left half-written in `folder`: the temporary names of dead ones at once, those of other machines when a day old."""
    for leftover in Path(folder).glob(".tmp-*"):
        try:
            if not _is_abandoned(leftover):
                continue
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()
        except FileNotFoundError:
            pass  # its owner, or another run that sweeps, was faster


def _is_abandoned(path: Path) -> bool:
    _, machine, pid, *_ = [*path.name[1:].split("-"), "", ""]
    if machine == _machine() != "" and pid.isdecimal():
        return not _is_running(int(pid))
    return time.time() - path.stat().st_mtime > STALE_S


@lru_cache(maxsize=1)
def _machine() -> str:
    """8 hex digits, equal for processes that see each other by number: same machine since its start, same container. Empty where that cannot be told."""
    try:
        return stable_hash([Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"), os.readlink("/proc/self/ns/pid")])[:8]
    except OSError:
        return ""


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    except OSError:  # of another user
        return True
    return state not in "ZX"  # killed, and nobody has asked for its exit status


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. NcpifuError names the file where the disk is full."""
    text = json.dumps(value, indent=1, sort_keys=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_tensors(path: Path, tensors: dict[str, "Tensor"], metadata: dict[str, str]) -> None:
    """Write a safetensors file, atomically. NcpifuError when the disk is full: what was there before stays."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=metadata)
        except (SafetensorError, OSError) as error:  # the first is what a full disk looks like from there
            raise NcpifuError(f"cannot write {path}: {error}", "free some space; what was saved before is untouched") from error


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
