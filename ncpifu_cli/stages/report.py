"""What `eval` found: one row per subject, view and method, and the means, intervals and differences that follow from them."""

import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ncpifu_cli import __version__
from ncpifu_cli.config.base import dump
from ncpifu_cli.config.eval import EvalConfig
from ncpifu_cli.geometry.protocols import COLUMNS, PROTOCOLS, Protocol
from ncpifu_cli.geometry.statistics import Estimate, bootstrap_mean, mean_by_group, paired_difference
from ncpifu_cli.progress import counted
from ncpifu_cli.stages.eval_methods import Method
from ncpifu_cli.stages.eval_score import METRICS, Row, column

REPORT_FORMAT = "ncpifu-report"
REPORT_VERSION = 3
OVERLAPS = ("iou", "f_score", "silhouette_iou")
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")


@dataclass(frozen=True)
class Report:
    """The result of one evaluation.

    Attributes:
        folder: where the files lie. config: what was asked for. data: the folder of the scans. methods: in the order of the tables.
        rows: one per subject, view and method (see `eval_score.METRICS`). unscored: subject -> why its truth could not be used.
        notes: subject -> what reading its scan detected.
    """

    folder: Path
    config: EvalConfig
    data: Path
    methods: list[Method]
    rows: list[Row]
    unscored: dict[str, str] = field(default_factory=dict)
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def protocol(self) -> Protocol:
        """The main table's."""
        return PROTOCOLS[self.config.protocols[0]]

    @property
    def headline(self) -> dict[str, tuple[str, bool]]:
        """The metrics of the main table, as in `METRICS`: the protocol's three, then the overlaps."""
        unit = self.protocol.unit
        titles = ((f"Chamfer ({unit})", False), (f"P2S ({unit})", False), (self.protocol.normal_title, self.protocol.cosine))
        return dict(zip(COLUMNS, titles, strict=True)) | {name: METRICS[name] for name in OVERLAPS}

    @property
    def metrics(self) -> list[str]:
        """All that is averaged: every protocol's three and `METRICS`."""
        return [*(column(self.config, name, key) for name in self.config.protocols for key in COLUMNS), *METRICS]

    def of(self, method: str) -> list[Row]:
        """The rows of one method, the same subjects and views in the same order for every method."""
        return sorted((row for row in self.rows if row["method"] == method), key=lambda row: (row["subject"], row["view_deg"]))

    def per_subject(self, method: str, metric: str) -> np.ndarray:
        """(subjects, ...) mean over each subject's views."""
        rows = self.of(method)
        return mean_by_group(np.array([row[metric] for row in rows], np.float64), [row["subject"] for row in rows])

    def summary(self, method: str) -> dict[str, Estimate]:
        """Mean and interval over subjects of every metric; failed predictions count with their defined scores."""
        return {metric: bootstrap_mean(self.per_subject(method, metric), self.config.seed) for metric in self.metrics}

    def difference(self, method: str) -> dict[str, Estimate]:
        """`method` minus the first method, paired by subject."""
        first = self.methods[0].name
        return {metric: paired_difference(self.per_subject(method, metric), self.per_subject(first, metric), self.config.seed) for metric in self.metrics}

    def failures(self, method: str) -> list[Row]:
        """The rows whose prediction was missing, empty or broken."""
        return [row for row in self.of(method) if row["status"] == "failed"]

    def without_failures(self) -> "Report":
        """This report on the subjects that no method failed on."""
        hit = {row["subject"] for row in self.rows if row["status"] == "failed"}
        return replace(self, rows=[row for row in self.rows if row["subject"] not in hit])

    @property
    def subjects(self) -> list[str]:
        """The scored subjects."""
        return sorted({row["subject"] for row in self.rows})

    def detected(self) -> dict[str, int]:
        """What reading the scans detected (units, up axes, repairs) -> in how many of them; numbers become the range that was met."""
        met: dict[str, list[list[float]]] = {}
        for note in (note for notes in self.notes.values() for note in notes):
            met.setdefault(NUMBER.sub("{}", note.replace("{", "(").replace("}", ")")), []).append([float(text) for text in NUMBER.findall(note)])
        ranges = {kind: zip(np.min(values, axis=0), np.max(values, axis=0), strict=True) for kind, values in met.items()}
        return {kind.format(*(f"{low:g}" if low == high else f"{low:g} to {high:g}" for low, high in ranges[kind])): len(met[kind]) for kind in met}

    def document(self) -> dict[str, Any]:
        """Everything but the rows as plain values: what `report.json` holds beside them."""
        methods = []
        for method in self.methods:
            rows = self.of(method.name)
            entry = asdict(method) | {
                "scores": {metric: asdict(estimate) for metric, estimate in self.summary(method.name).items()},
                "failed": [{"subject": row["subject"], "view_deg": row["view_deg"], "reason": row["note"]} for row in self.failures(method.name)],
                "watertight": sum(bool(row["watertight"]) for row in rows),
                "predictions": len(rows),
            }
            if method is not self.methods[0]:
                entry["difference_to_first"] = {metric: asdict(estimate) for metric, estimate in self.difference(method.name).items()}
            methods.append(entry)
        head = {"format": REPORT_FORMAT, "version": REPORT_VERSION, "ncpifu": __version__, "folder": str(self.folder), "data": str(self.data)}
        return head | {"config": dump(self.config), "subjects": self.subjects, "unscored": self.unscored, "methods": methods}

    def lines(self) -> list[str]:
        """The result in a few lines for a terminal."""
        width = max(len(method.name) for method in self.methods)
        lines = [
            f"{counted(len(self.subjects), 'subject')}, {counted(len(self.config.views), 'view')}, protocol {self.config.protocols[0]}; mean [95 % interval]"
        ]
        for method in self.methods:
            scores = self.summary(method.name)
            parts = [f"{title} {interval(scores[metric])}" for metric, (title, _) in list(self.headline.items())[:4]]
            failed = len(self.failures(method.name))
            lines.append(f"{method.name:<{width}}  " + "  ".join(parts) + (f"  ({failed} failed)" if failed else ""))
        lines += [f"not scored: {name}: {reason}" for name, reason in self.unscored.items()]
        return [*lines, f"report: {self.folder / 'report.html'}"]


def interval(estimate: Estimate) -> str:
    """`mean [low, high]`; of one value the value alone."""
    if estimate.count == 1:
        return number(estimate.mean)
    return f"{number(estimate.mean)} [{number(estimate.low)}, {number(estimate.high)}]"


def number(value: float) -> str:
    """Three decimals, two from ten on."""
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"
