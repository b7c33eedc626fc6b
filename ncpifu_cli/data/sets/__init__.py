"""One adapter per data set: `find(folder) -> list[ScanSource]` (empty where the layout is another) and `LAYOUT`, what it expects in words."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ncpifu_cli.data.scans import ScanSource


@dataclass(frozen=True)
class Adapter:
    """A data set's layout."""

    LAYOUT: str
    find: Callable[[Path], list[ScanSource]]


def adapters() -> dict[str, Adapter]:
    """By name, in the order in which `auto` tries them: the special layouts first, a plain folder last."""
    from ncpifu_cli.data.sets import buff, customhumans, folder, renderpeople, synthetic, thuman2

    modules = (synthetic, thuman2, buff, renderpeople, customhumans, folder)
    return {module.__name__.rpartition(".")[2]: Adapter(module.LAYOUT, module.find) for module in modules}
