"""What a folder of renders holds already: what may stay, and what must not be replaced unasked."""

from pathlib import Path
from typing import Any

from ncpifu_cli.artifacts import read_json
from ncpifu_cli.config.render import RenderSettings
from ncpifu_cli.data.scans import ScanSource
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.stages.render_subject import recorded_settings, subject_hash


def is_drawn(source: ScanSource, out: Path, settings: RenderSettings) -> bool:
    """Whether the subject is complete, drawn from this scan with these settings by this version."""
    manifest = _manifest(out / source.name)
    try:
        return manifest is not None and manifest.get("hash") == subject_hash(source, settings)
    except OSError:
        return False  # the scan is not readable: say so in its turn


def is_complete(source: ScanSource, out: Path) -> bool:
    """Whether a complete subject of this name is there, however it was drawn."""
    return _manifest(out / source.name) is not None


def difference(source: ScanSource, out: Path, settings: RenderSettings) -> str | None:
    """In which settings the complete subject of this name that `is_drawn` does not mean was drawn, in words.

    None where there is none, or only the scan or the version differs: drawing such a subject anew loses nothing that the same command would not make.
    """
    manifest = _manifest(out / source.name)
    if manifest is None:
        return None
    recorded, wanted = manifest.get("settings"), recorded_settings(source, settings)
    if not isinstance(recorded, dict):
        return "by an older version that did not record its settings"
    keys = [key for key in {**wanted, **recorded} if recorded.get(key) != wanted.get(key)]
    return "; ".join(f"{key} {_told(recorded.get(key))}, now {_told(wanted.get(key))}" for key in keys) or None


def _told(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(f"{part:g}" if isinstance(part, float) else str(part) for part in value)
    return "none" if value is None else str(value)


def _manifest(subject: Path) -> dict[str, Any] | None:
    """What a complete subject's folder says about itself; None where nothing is readable there, so that it is drawn again."""
    path = subject / "subject.json"
    if not path.is_file():
        return None
    try:
        manifest = read_json(path)
    except (NcpifuError, OSError):
        return None
    return manifest if isinstance(manifest, dict) else None
