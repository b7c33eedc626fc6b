"""What `eval` found: summary with intervals, and the files it is told in (Markdown, JSON, CSV)."""

import csv
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ncpifu_cli import __version__
from ncpifu_cli.artifacts import atomic_path, write_json
from ncpifu_cli.config.base import dump
from ncpifu_cli.config.eval import EvalConfig
from ncpifu_cli.geometry.statistics import Estimate, bootstrap_mean, mean_by_group, paired_difference
from ncpifu_cli.stages.eval_score import FAILED_DISTANCE_CM, METRICS, Row

HEADLINE = ("chamfer_cm", "p2s_vertices_cm", "normal_input", "iou", "f_score", "silhouette_iou")


@dataclass(frozen=True)
class MethodInfo:
    """One row of the tables. Attributes: kind is "weights" or "predictions"; source the file or folder; sha256 of the weights ("" for folders)."""

    name: str
    kind: str
    source: str
    sha256: str = ""


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
    methods: list[MethodInfo]
    rows: list[Row]
    unscored: dict[str, str] = field(default_factory=dict)
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, method: str) -> list[Row]:
        """The rows of one method, the same subjects and views in the same order for every method."""
        return sorted((row for row in self.rows if row["method"] == method), key=lambda row: (row["subject"], row["view_deg"]))

    def per_subject(self, method: str, metric: str) -> np.ndarray:
        """(subjects,) mean over each subject's views."""
        rows = self.of(method)
        return mean_by_group(np.array([float(row[metric]) for row in rows]), [row["subject"] for row in rows])

    def summary(self, method: str) -> dict[str, Estimate]:
        """Mean and interval over subjects of every metric; failed predictions count with their defined scores."""
        return {metric: bootstrap_mean(self.per_subject(method, metric), self.config.seed) for metric in METRICS}

    def difference(self, method: str) -> dict[str, Estimate]:
        """`method` minus the first method, paired by subject."""
        first = self.methods[0].name
        return {metric: paired_difference(self.per_subject(method, metric), self.per_subject(first, metric), self.config.seed) for metric in METRICS}

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
        head = {"format": "ncpifu-report", "version": 1, "ncpifu": __version__, "folder": str(self.folder), "data": str(self.data)}
        return head | {"config": dump(self.config), "subjects": self.subjects, "unscored": self.unscored, "methods": methods}

    def lines(self) -> list[str]:
        """The result in a few lines for a terminal."""
        width = max(len(method.name) for method in self.methods)
        lines = [f"{len(self.subjects)} subjects, {len(self.config.views)} view(s); mean [95 % interval]"]
        for method in self.methods:
            scores = self.summary(method.name)
            parts = [f"{METRICS[metric][0]} {_interval(scores[metric])}" for metric in ("chamfer_cm", "p2s_vertices_cm", "normal_input", "iou")]
            failed = len(self.failures(method.name))
            lines.append(f"{method.name:<{width}}  " + "  ".join(parts) + (f"  ({failed} failed)" if failed else ""))
        lines += [f"not scored: {name}: {reason}" for name, reason in self.unscored.items()]
        return [*lines, f"report: {self.folder / 'report.md'}"]


def write_report(report: Report, figure: str | None) -> None:
    """Write report.json, per_subject.csv and report.md into the report's folder; `figure` is the picture's file name, if there is one."""
    write_json(report.folder / "report.json", report.document() | {"scan_notes": report.notes, "rows": report.rows})
    with atomic_path(report.folder / "per_subject.csv") as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        names = ["subject", "view_deg", "method", "status", *METRICS, "watertight", "components", "vertices", "faces", "note"]
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for method in report.methods:
            writer.writerows(report.of(method.name))
    with atomic_path(report.folder / "report.md") as temporary:
        temporary.write_text(markdown(report, figure), encoding="utf-8")


def markdown(report: Report, figure: str | None) -> str:
    """The report for reading."""
    config, first = report.config, report.methods[0].name
    views = ", ".join(f"{yaw:g}" for yaw in config.views)
    parts = [
        f"# Evaluation on {config.dataset}",
        f"{len(report.subjects)} subjects from `{report.data}`, input views at {views} degrees, seed {config.seed}. Mean over subjects with its "
        "95 % bootstrap interval. Distances are exact point-to-triangle distances in centimetres of the 1.80 m subject, unsquared; "
        "only the outermost surface of a scan counts.",
        _table(["", *(f"{METRICS[metric][0]} {_arrow(metric)}" for metric in HEADLINE), "failed"], [_method_row(report, m.name) for m in report.methods]),
    ]
    if len(report.methods) > 1:
        header = ["", *(METRICS[metric][0] for metric in HEADLINE)]
        differences = {m.name: report.difference(m.name) for m in report.methods[1:]}
        rows = [[name, *(_difference(difference[metric], metric) for metric in HEADLINE)] for name, difference in differences.items()]
        parts += [f"## Difference to `{first}`", "Paired by subject; **bold** where the interval excludes 0, with who is better.", _table(header, rows)]
    whole = report.without_failures()
    if len(whole.subjects) not in (0, len(report.subjects)):
        rows = [_method_row(whole, m.name) for m in report.methods]
        parts += [f"## The {len(whole.subjects)} subjects on which nothing failed", _table(["", *(METRICS[metric][0] for metric in HEADLINE), "failed"], rows)]
    if figure:
        parts += ["## Pictures", f"![photo, predictions, error and truth]({figure})", f"Subjects from the best to the worst Chamfer distance of `{first}`."]
    parts += ["## All metrics", _all_metrics(report), "## Predictions", _predictions(report)]
    if report.unscored:
        parts += ["## Not scored: the truth could not be used", "\n".join(f"- {name}: {reason}" for name, reason in report.unscored.items())]
    parts += ["## How it was measured", _settings(report)]
    return "\n\n".join(parts) + "\n"


def _method_row(report: Report, method: str) -> list[str]:
    scores = report.summary(method)
    return [method, *(_interval(scores[metric]) for metric in HEADLINE), str(len(report.failures(method)))]


def _all_metrics(report: Report) -> str:
    summaries = [report.summary(m.name) for m in report.methods]
    rows = [[f"{title} {_arrow(metric)}", *(_interval(summary[metric]) for summary in summaries)] for metric, (title, _) in METRICS.items()]
    return _table(["", *(m.name for m in report.methods)], rows)


def _predictions(report: Report) -> str:
    lines = []
    for method in report.methods:
        rows = report.of(method.name)
        good = [row for row in rows if row["status"] == "ok"]
        whole = sum(bool(row["watertight"]) for row in rows)
        single = sum(row["components"] == 1 for row in rows)
        digest = f", sha256 {method.sha256[:12]}" if method.sha256 else ""
        lines.append(f"- `{method.name}` ({method.source}{digest}): {len(good)} of {len(rows)} scored, {whole} watertight, {single} in one piece.")
        lines += [f"  - failed: {row['subject']} at {row['view_deg']:g} degrees: {row['note']}" for row in rows if row["status"] == "failed"]
        lines += [f"  - suspicious: {row['subject']} at {row['view_deg']:g} degrees: {row['note']}" for row in good if row["note"]]
    return "\n".join(lines)


def _settings(report: Report) -> str:
    config = report.config
    return "\n".join(
        [
            f"- {config.samples} area-uniform samples per surface, {config.volume_points} points in the box around the subject (10 cm margin), "
            f"F-score at {config.f_score_cm:g} cm, normal maps of {config.normal_size_px} px, predictions at {config.resolution} cells per axis.",
            "- Chamfer: half the sum of the two mean sample-to-surface distances. P2S as the paper words it: vertices of the prediction to the truth.",
            "- Normal error: squared difference of (n + 1) / 2 coloured maps, black background, summed over channels, mean over all pixels; 4 views: sum.",
            f"- A missing, empty or broken prediction counts with {FAILED_DISTANCE_CM:g} cm for every distance, 0 for every overlap and the normal error of "
            "an empty picture.",
            f"- ncpifu {__version__}.",
        ]
    )


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _arrow(metric: str) -> str:
    return "↑" if METRICS[metric][1] else "↓"


def _interval(estimate: Estimate) -> str:
    return f"{_number(estimate.mean)} [{_number(estimate.low)}, {_number(estimate.high)}]"


def _difference(estimate: Estimate, metric: str) -> str:
    text = f"{estimate.mean:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"
    if estimate.low <= 0 <= estimate.high:
        return text
    return f"**{text}** {'better' if (estimate.mean > 0) == METRICS[metric][1] else 'worse'}"


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"
