"""The paper's tables 1 and 2 with finished evaluations below the published figures."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ncpifu_cli.artifacts import atomic_path, default_root, read_json
from ncpifu_cli.config.base import validate
from ncpifu_cli.config.eval import EvalConfig
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.protocols import COLUMNS, PROTOCOLS, Protocol
from ncpifu_cli.stages import report_page as page
from ncpifu_cli.stages.report import REPORT_FORMAT, REPORT_VERSION, number

TableNumber = Literal[1, 2]
DATASETS = {"thuman2": "THuman2.0", "buff": "BUFF"}  # the paper's, in its order
Figures = tuple[float, float, float, float, float, float]  # Chamfer, P2S, Normal on THuman2.0, then on BUFF

# Neural-code PIFu, table 1. The paper retrained every method on 402 scans of THuman2.0.
SYSTEMS: dict[str, Figures] = {
    "PIFu": (1.501, 1.523, 0.122, 1.781, 1.754, 0.142),
    "PIFuHD": (1.372, 1.432, 0.124, 1.634, 1.671, 0.133),
    "PaMIR": (1.713, 1.818, 0.134, 1.752, 1.872, 0.148),
    "SuRS": (0.931, 1.151, 0.107, 1.532, 1.622, 0.136),
    "ICON": (0.747, 0.735, 0.086, 0.832, 0.854, 0.087),
    "ECON": (0.748, 0.737, 0.079, 0.762, 0.732, 0.082),
    "Neural-code PIFu": (0.745, 0.733, 0.077, 0.759, 0.781, 0.086),
}
# Neural-code PIFu, table 2.
ABLATIONS: dict[str, Figures] = {
    "w/ codebooks w/o fusion": (0.774, 0.764, 0.082, 0.787, 0.791, 0.090),
    "w/o global codebook": (0.762, 0.754, 0.081, 0.797, 0.798, 0.089),
    "w/o local codebook": (0.780, 0.773, 0.084, 0.815, 0.824, 0.092),
    "w/o fusion": (0.767, 0.769, 0.086, 0.782, 0.813, 0.090),
    "w/o Integration": (0.782, 0.791, 0.088, 0.812, 0.833, 0.092),
    "w/ all modules": (0.745, 0.733, 0.077, 0.759, 0.781, 0.086),
}
# A method that is called like a file of configs/ablations/ gets the paper's words for it.
ABLATION_TITLES = {
    "codebooks_no_fusion": "w/ codebooks w/o fusion",
    "no_global_codebook": "w/o global codebook",
    "no_local_codebook": "w/o local codebook",
    "no_fusion": "w/o fusion",
    "no_integration": "w/o Integration",
    "full": "w/ all modules",
}


@dataclass(frozen=True)
class Run:
    """A finished evaluation. Attributes: folder; column: the data set's name; label: with how many subjects; config; document: its report.json."""

    folder: Path
    column: str
    label: str
    config: EvalConfig
    document: dict[str, Any]

    @property
    def protocol(self) -> Protocol:
        """The main table's: the published figures' columns."""
        return PROTOCOLS[self.config.protocols[0]]

    @property
    def measured_with(self) -> dict[str, Any]:
        """What must not differ within a table."""
        config = self.config
        same = {"protocol": config.protocols[0], "align": config.align or self.protocol.align, "samples": config.samples}
        return same | {"normal_size_px": config.normal_size_px, "resolution": config.resolution}


def write_table(table: TableNumber, folders: Sequence[Path], output: Path | None) -> Path:
    """Write `table<N>.html`, `.md` and `.csv` from finished runs and return the HTML file.

    Args: folders: reports of `eval`; none takes all below eval/ of the data root. output: a folder; None is that eval/.

    Raises NcpifuError where a run is not finished or not measured like the others, or where one name stands for different weights.
    """
    root = default_root() / "eval"
    runs = [_read(folder) for folder in folders or sorted(path.parent for path in root.glob("*/report.json"))]
    if not runs:
        raise NcpifuError(f"no finished evaluation in {root}", "run `ncpifu eval` first, or name the folders of its reports")
    _check(runs)
    title = "Table 1. Quantitative results" if table == 1 else "Table 2. Ablation of the modules"
    blocks: list[page.Block] = [_table(table, runs), page.Bullets(_remarks(runs))]
    folder = output or root
    for suffix, text in ((".md", page.markdown(title, blocks)), (".html", page.webpage(title, blocks))):
        with atomic_path(folder / f"table{table}{suffix}") as temporary:
            temporary.write_text(text, encoding="utf-8")
    with atomic_path(folder / f"table{table}.csv") as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        _write_csv(file, table, runs)
    return folder / f"table{table}.html"


def _read(folder: Path) -> Run:
    if not (folder / "report.json").is_file():
        raise NcpifuError(f"{folder} holds no finished evaluation", "run its `ncpifu eval` to the end: it goes on where it stopped")
    document = read_json(folder / "report.json")
    if not isinstance(document, dict) or (document.get("format"), document.get("version")) != (REPORT_FORMAT, REPORT_VERSION):
        raise NcpifuError(f"{folder / 'report.json'} is not a report of this version of `ncpifu eval`", "run the same `ncpifu eval` again: it only scores anew")
    config = validate(EvalConfig, document["config"], str(folder / "report.json"))
    split = Path(config.split).stem if config.split else "test" if config.dataset == "synthetic" else ""
    column = DATASETS.get(config.dataset, f"{config.dataset} {split}".strip())
    count, views = len(document["subjects"]), len(config.views)
    label = f"{column}: {count} subject{'s' if count > 1 else ''}, {views} view{'s' if views > 1 else ''}, `{document['data']}`"
    return Run(folder, column, label, config, document)


def _check(runs: list[Run]) -> None:
    """One table holds one protocol, each data set once, and under one name the same weights."""
    known: dict[str, tuple[tuple[str, str], Path]] = {}
    columns: dict[str, Path] = {}
    for run in runs:
        for key, wanted in runs[0].measured_with.items():
            if (found := run.measured_with[key]) != wanted:
                raise NcpifuError(f"{run.folder} was measured with {key} {found}, {runs[0].folder} with {wanted}", "name runs that fit together")
        if run.column in columns:
            raise NcpifuError(f"{columns[run.column]} and {run.folder} are both on {run.column}", "name one of them")
        columns[run.column] = run.folder
        for method in run.document["methods"]:
            made_from = (method["sha256"], method.get("detail_sha256", ""))
            digests, folder = known.setdefault(method["name"], (made_from, run.folder))
            if digests != made_from:
                raise NcpifuError(f"{method['name']!r} stands for different weights in {folder} and {run.folder}", "name them apart: --weights NAME=FILE")


def _table(table: TableNumber, runs: list[Run]) -> page.Table:
    protocol = runs[0].protocol
    columns = [*DATASETS.values(), *(run.column for run in runs if run.column not in DATASETS.values())]
    published = SYSTEMS if table == 1 else ABLATIONS
    best = list(published.values())[-1]
    names = {"chamfer": "Chamfer", "p2s": "P2S", "normal": protocol.normal_title}
    header = ["Models" if table == 1 else "Modules", *(f"{names[key]} {'↑' if protocol.cosine and key == 'normal' else '↓'}" for key in COLUMNS)]
    rows: list[list[str]] = [["Published by the paper on its own renderings and split; not measured here"]]
    for name, figures in published.items():
        cells = [f"{value:.3f}{_gain(value, reference)}" for value, reference in zip(figures, best, strict=True)]
        rows.append([name, *cells, *["–"] * (3 * len(columns) - len(figures))])
    rows.append(["Measured by this project"])
    for name, scores in _measured(runs).items():
        rows.append([_title(table, name), *(_cell(scores.get((column, key))) for column in columns for key in COLUMNS)])
    return page.Table([header[0], *header[1:] * len(columns)], rows, [("", 1), *((column, 3) for column in columns)])


def _measured(runs: list[Run]) -> dict[str, dict[tuple[str, str], dict[str, float]]]:
    """Method -> (data set, metric) -> estimate."""
    found: dict[str, dict[tuple[str, str], dict[str, float]]] = {}
    for run in runs:
        for method in run.document["methods"]:
            found.setdefault(method["name"], {}).update({(run.column, key): method["scores"][key] for key in COLUMNS})
    return found


def _title(table: TableNumber, name: str) -> str:
    title = ABLATION_TITLES.get(name) if table == 2 else None
    return f"{title} (`{name}`)" if title else f"`{name}`"


def _cell(estimate: dict[str, float] | None) -> str:
    return f"{number(estimate['mean'])} [{number(estimate['low'])}, {number(estimate['high'])}]" if estimate else "–"


def _gain(value: float, reference: float) -> str:
    """How much smaller the paper's own figure is, in its notation."""
    percent = (value - reference) / value * 100
    return "" if value == reference else f" ({'↓' if percent > 0 else '↑'}{abs(percent):.{0 if abs(percent) >= 1 else 1}f}%)"


def _remarks(runs: list[Run]) -> list[str]:
    name, protocol = runs[0].config.protocols[0], runs[0].protocol
    own = [run for run in runs if run.column not in DATASETS.values()]
    lines = [
        f"Measured with protocol `{name}` ({protocol.source}): Chamfer and P2S in {protocol.unit}, mean over subjects with its 95 % "
        "bootstrap interval. The published figures are in cm."
    ]
    for run in runs:
        failed = [f"`{method['name']}` failed on {len(method['failed'])}" for method in run.document["methods"] if method["failed"]]
        unscored = [f"{len(run.document['unscored'])} not scored"] if run.document["unscored"] else []
        lines.append(", ".join([run.label, *unscored, *failed]))
    lines.append("(↓n%) is by how much the paper's own figure lies below, computed from the figures.")
    lines.append("The paper publishes no list of its subjects, no photos and no evaluation code.")
    if own:
        lines.append(f"Figures on {', '.join(run.column for run in own)} cannot be compared with the published ones: the data are others.")
    return lines


def _write_csv(file: Any, table: TableNumber, runs: list[Run]) -> None:
    writer = csv.writer(file)
    writer.writerow(["method", "origin", "dataset", "metric", "mean", "low", "high", "subjects"])
    for name, figures in (SYSTEMS if table == 1 else ABLATIONS).items():
        for index, value in enumerate(figures):
            writer.writerow([name, "published", list(DATASETS.values())[index // 3], COLUMNS[index % 3], value, "", "", ""])
    for name, scores in _measured(runs).items():
        for (column, key), estimate in scores.items():
            writer.writerow([name, "measured", column, key, estimate["mean"], estimate["low"], estimate["high"], estimate["count"]])
