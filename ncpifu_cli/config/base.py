"""YAML -> validated settings. No torch here: `--help` and `doctor` read settings too."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from ncpifu_cli.errors import NcpifuError

LARGEST_SEED = 2**63 - 1  # what torch takes
CONFIGS = Path(__file__).resolve().parent.parent / "configs"


class Settings(BaseModel):
    """Base of every settings class: immutable, unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=Settings)


def load(kind: type[Model], source: str | Path | None = None, overrides: Sequence[str] = (), *, ablation: str | None = None) -> Model:
    """Read settings.

    Args:
        kind: the settings class. source: a YAML file, the name of one in `configs/` (without .yaml), or None for the defaults.
        overrides: "key.sub=value" strings, values in YAML syntax; later ones win.
        ablation: name of a file in `configs/ablations/` laid over the source before the overrides.

    Raises NcpifuError naming the file, the key and what is allowed.
    """
    values = _read_with_parents(_find(source)) if source is not None else {}
    if ablation is not None:
        values = _merge(values, _read_with_parents(_find(Path("ablations") / f"{ablation}.yaml")))
    for text in overrides:
        _set(values, text)
    return validate(kind, values, str(source) if source is not None else "settings")


def validate(kind: type[Model], values: dict[str, Any], origin: str, options: Mapping[str, str] | None = None) -> Model:
    """`values` as `kind`, with pydantic's complaints turned into one line.

    Args:
        origin: where the values come from: a file, or the verb whose command line gave them.
        options: given for a command line, so that its user reads options instead of keys: those that are not called --like-their-key.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "(top level)"
        reason = "unknown key" if first["type"] == "extra_forbidden" else _plain(first["msg"])
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        if options is not None and first["loc"]:
            name = str(first["loc"][0])
            option = options.get(name, f"--{name.replace('_', '-')}")
            raise NcpifuError(f"{option} {first['input']}: {reason}{more}", f"see `ncpifu {origin} --help`") from error
        hint = _keys_beside(kind, first["loc"]) if first["type"] == "extra_forbidden" else ""
        raise NcpifuError(f"{origin}: {key}: {reason}{more}", hint) from error


def _keys_beside(kind: type[BaseModel], place: tuple[int | str, ...]) -> str:
    """Which keys there are where an unknown one was given, the likely one first."""
    for part in place[:-1]:
        inner = kind.model_fields[str(part)].annotation if str(part) in kind.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        kind = inner
    names = sorted(kind.model_fields)
    close = get_close_matches(str(place[-1]), names, 1)
    return (f"did you mean {'.'.join([*map(str, place[:-1]), close[0]])}? " if close else "") + f"keys here: {', '.join(names)}"


def _plain(complaint: str) -> str:
    words = complaint.removeprefix("Value error, ").replace("Input should be", "must be")
    return words.replace("greater than or equal to", "at least").replace("less than or equal to", "at most")


def dump(settings: Settings) -> dict[str, Any]:
    """Plain JSON-able values; `validate` of the result gives the same settings back."""
    return settings.model_dump(mode="json")


def _find(source: str | Path) -> Path:
    path = Path(source)
    if path.suffix in (".yaml", ".yml", ".json"):
        candidates = [path, CONFIGS / path]
    else:
        candidates = [CONFIGS / f"{source}.yaml", CONFIGS / "ablations" / f"{source}.yaml"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    if path.parent.name == "ablations":
        rows = sorted(p.stem for p in (CONFIGS / "ablations").glob("*.yaml"))
        raise NcpifuError(f"there is no ablation {path.stem!r}", f"one of: {', '.join(rows)}")
    names = sorted(str(p.relative_to(CONFIGS).with_suffix("")) for p in CONFIGS.rglob("*.yaml"))
    raise NcpifuError(f"no configuration {str(source)!r}", f"give a YAML file or one of: {', '.join(names)}")


def _read_with_parents(path: Path, children: tuple[Path, ...] = ()) -> dict[str, Any]:
    if path.resolve() in children:
        raise NcpifuError(f"{path} extends itself", "take one of the `extends` lines out")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise NcpifuError(f"{path} is not readable YAML: {str(error).splitlines()[0]}") from error
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise NcpifuError(f"{path} must hold keys and values, not a {type(values).__name__}")
    parent = values.pop("extends", None)
    if parent is None:
        return values
    sibling = path.parent / f"{parent}.yaml"
    base = _read_with_parents(sibling if sibling.is_file() and sibling != path else _find(str(parent)), (*children, path.resolve()))
    return _merge(base, values)


def _merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _set(values: dict[str, Any], text: str) -> None:
    key, equals, raw = text.partition("=")
    if not equals or not key:
        raise NcpifuError(f"cannot read the override {text!r}", "write it as key.sub=value, for example optim.lr=0.0003")
    *parents, last = key.split(".")
    for part in parents:
        inner = values.setdefault(part, {})
        if not isinstance(inner, dict):
            raise NcpifuError(f"override {text!r}: {part} is a single value", "write the whole path of the key")
        values = inner
    try:
        values[last] = yaml.safe_load(raw)
    except yaml.YAMLError as error:
        raise NcpifuError(f"override {text!r}: the value is not YAML") from error
