"""The files that tell an evaluation: report.html, report.md, report.json, per_subject.csv, subjects.txt and the pictures."""

import csv
from pathlib import Path

from ncpifu_cli import __version__
from ncpifu_cli.artifacts import atomic_path, read_json, write_json
from ncpifu_cli.config.eval import EvalConfig
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.metrics import CM_PER_M
from ncpifu_cli.geometry.protocols import COLUMNS, PROTOCOLS, Protocol
from ncpifu_cli.geometry.statistics import Estimate
from ncpifu_cli.progress import Reporter
from ncpifu_cli.stages import report_page as page
from ncpifu_cli.stages.eval_score import FAILED_DISTANCE_CM, METRICS, SubjectTask, column
from ncpifu_cli.stages.report import Report, interval
from ncpifu_cli.stages.report_figure import draw_figure
from ncpifu_cli.stages.report_plot import draw_curves

TITLES = {
    "synthetic": "synthetic humans",
    "thuman2": "THuman2.0",
    "buff": "BUFF",
    "customhumans": "CustomHumans",
    "renderpeople": "RenderPeople",
    "folder": "other scans",
}
FEW_SUBJECTS = 20  # of which a percentile bootstrap makes too little
HEALTH = ("watertight", "components", "crossing_faces", "vertices", "faces")


def _tell_what_is_replaced(report: Report, reporter: Reporter) -> None:
    path = report.folder / "report.json"
    try:
        before = [method["name"] for method in read_json(path)["methods"]] if path.is_file() else []
    except (NcpifuError, KeyError, TypeError):
        before = []  # damaged, or of another version: nothing to keep
    lost = [name for name in before if name not in {method.name for method in report.methods}]
    if lost:
        reporter.warn(
            f"the report in {report.folder} no longer has {', '.join(lost)}: name all in one command (--weights may be repeated), or keep both with -o"
        )


def write_report(report: Report, tasks: dict[str, SubjectTask], reporter: Reporter) -> None:
    """Write everything into the report's folder. Args: tasks, by subject: where the meshes of the pictures lie."""
    folder = report.folder
    _tell_what_is_replaced(report, reporter)
    write_json(folder / "report.json", report.document() | {"scan_notes": report.notes, "rows": report.rows})
    with atomic_path(folder / "per_subject.csv") as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        columns = ["subject", "view_deg", "method", "status", *report.metrics, *HEALTH, "note", "aligned"]
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        for method in report.methods:
            writer.writerows(report.of(method.name))
    with atomic_path(folder / "subjects.txt") as temporary:
        temporary.write_text("\n".join(["# scored subjects, in the form that --split takes", *report.subjects]) + "\n", encoding="utf-8")
    pictures: list[page.Block] = [page.Heading("How much of the surface is how near"), draw_curves(report)]
    if report.config.figure_rows:
        with reporter.task("pictures", None):
            pictures += [page.Heading("Pictures"), draw_figure(report, tasks)]
    split = f", {Path(report.config.split).stem}" if report.config.split else ""
    title, blocks = f"Evaluation on {TITLES[report.config.dataset]}{split}", [*_numbers(report), *_protocols(report), *pictures, *_details(report)]
    for name, text in (("report.md", page.markdown(title, blocks)), ("report.html", page.webpage(title, blocks))):
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _numbers(report: Report) -> list[page.Block]:
    config, first = report.config, report.methods[0].name
    views = f"input view{'s' if len(config.views) > 1 else ''} at {', '.join(f'{yaw:g}' for yaw in config.views)} degrees"
    split = f", split `{config.split}`" if config.split else ""
    lede = (
        f"{len(report.subjects)} subjects from `{report.data}`{split}, {views}, protocol `{config.protocols[0]}`, seed {config.seed}. "
        "Mean over subjects with its 95 % bootstrap interval; ↓ smaller is better, ↑ larger is better."
    )
    if len(report.subjects) < FEW_SUBJECTS:
        lede += f" With fewer than {FEW_SUBJECTS} subjects the intervals are too narrow."
    blocks: list[page.Block] = [page.Text(lede), _main_table(report)]
    if len(report.methods) > 1:
        differences = {method.name: report.difference(method.name) for method in report.methods[1:]}
        rows = [
            [name, *(_difference(difference[metric], better) for metric, (_, better) in report.headline.items())] for name, difference in differences.items()
        ]
        blocks += [
            page.Heading(f"Difference to `{first}`"),
            page.Text("Paired by subject; **bold** where the interval excludes 0, with who is better."),
            page.Table(["Method", *(title for title, _ in report.headline.values())], rows),
        ]
    whole = report.without_failures()
    if len(whole.subjects) not in (0, len(report.subjects)):
        blocks += [page.Heading(f"The {len(whole.subjects)} subjects on which nothing failed"), _main_table(whole)]
    return blocks


def _protocols(report: Report) -> list[page.Block]:
    """How far the numbers of the same meshes go apart by the way of measuring alone."""
    config = report.config
    if len(config.protocols) == 1:
        return []
    rows: list[list[str]] = []
    for method in report.methods:
        scores = report.summary(method.name)
        rows += [[method.name]] if len(report.methods) > 1 else []
        for name in config.protocols:
            chamfer, p2s, normal = (scores[column(config, name, key)] for key in COLUMNS)
            centimetres = [f"{estimate.mean * CM_PER_M / PROTOCOLS[name].per_metre:.2f}" for estimate in (chamfer, p2s)]
            sign = "↑ " if PROTOCOLS[name].cosine else ""
            rows.append([f"`{name}`", interval(chamfer), interval(p2s), PROTOCOLS[name].unit, *centimetres, f"{sign}{interval(normal)}"])
    return [
        page.Heading("The same meshes by every protocol"),
        page.Text("Nothing but the way of measuring differs between these rows; the two columns in cm take the unit out. What each does is told below."),
        page.Table(["Protocol", "Chamfer ↓", "P2S ↓", "in units of", "Chamfer (cm)", "P2S (cm)", "Normal ↓"], rows),
    ]


def _details(report: Report) -> list[page.Block]:
    summaries = [report.summary(method.name) for method in report.methods]
    every = [[f"{title} {_arrow(better)}", *(interval(summary[metric]) for summary in summaries)] for metric, (title, better) in METRICS.items()]
    blocks: list[page.Block] = [page.Heading("All metrics"), page.Table(["Metric", *(method.name for method in report.methods)], every)]
    blocks += [page.Heading("Predictions"), _health(report), page.Bullets([line for method in report.methods for line in _remarks(report, method.name)])]
    if report.unscored:
        blocks += [page.Heading("Not scored: the truth could not be used"), page.Bullets([f"{name}: {why}" for name, why in report.unscored.items()])]
    if detected := report.detected():
        blocks += [
            page.Heading("Detected while reading the scans"),
            page.Bullets([f"{note} ({count} of {len(report.notes)} scans)" for note, count in detected.items()]),
        ]
    return [*blocks, page.Heading("How it was measured"), page.Bullets(_settings(report))]


def _main_table(report: Report) -> page.Table:
    header = ["Method", *(f"{title} {_arrow(better)}" for title, better in report.headline.values()), "Failed"]
    rows = []
    for method in report.methods:
        scores = report.summary(method.name)
        rows.append([method.name, *(interval(scores[metric]) for metric in report.headline), str(len(report.failures(method.name)))])
    return page.Table(header, rows)


def _health(report: Report) -> page.Table:
    rows = []
    for method in report.methods:
        found = report.of(method.name)
        good = [row for row in found if row["status"] == "ok"]
        counts = [sum(bool(row["watertight"]) for row in good), sum(row["components"] == 1 for row in good), sum(row["crossing_faces"] > 0 for row in good)]
        faces = f"{sum(row['faces'] for row in good) / len(good):,.0f}" if good else "–"
        rows.append([method.name, f"{len(good)} of {len(found)}", *map(str, counts), faces])
    return page.Table(["Method", "Scored", "Watertight", "In one piece", "Cut through themselves", "Faces on average"], rows)


def _remarks(report: Report, method: str) -> list[str]:
    info = next(info for info in report.methods if info.name == method)
    digest = f", sha256 `{info.sha256[:12]}`" if info.sha256 else f", read in units of {info.units}"
    detail = f", with the detail of `{Path(info.detail_weights).name}`, sha256 `{info.detail_sha256[:12]}`" if info.detail_sha256 else ""
    lines = [f"`{method}`: `{info.source}`{digest}{detail}"]
    for row in report.of(method):
        if row["note"]:
            verdict = "failed" if row["status"] == "failed" else "looks wrong"
            lines.append(f"`{method}` {verdict} on {row['subject']} at {row['view_deg']:g} degrees: {row['note']}")
    return lines


def _settings(report: Report) -> list[str]:
    config = report.config
    return [
        *(f"`{name}` ({PROTOCOLS[name].source}): {_in_words(PROTOCOLS[name], config)}." for name in config.protocols),
        f"All other numbers: alignment {config.align or 'none'}; exact point-to-triangle distances in centimetres of the 1.80 m subject, unsquared; Chamfer is "
        "half the sum of the two mean sample-to-surface distances. Only the outermost surface of a scan counts.",
        f"{config.samples:,} area-uniform samples per surface, {config.volume_points:,} points in the box around the subject (10 cm margin), "
        f"F-score at {config.f_score_cm:g} cm, normal maps of {config.normal_size_px} px, predictions of networks at {config.resolution} cells per axis.",
        "Normal error: squared difference of (n + 1) / 2 coloured maps, background black, summed over channels, mean over all pixels; 4 views: sum.",
        f"A missing, empty or broken prediction counts with {FAILED_DISTANCE_CM:g} cm for every distance, 0 for every overlap and the normal error of an "
        "empty picture.",
        f"ncpifu {__version__}.",
    ]


def _in_words(protocol: Protocol, config: EvalConfig) -> str:
    """The protocol's choices as one sentence."""
    p2s = {
        "vertices": "P2S from the vertices of the prediction to the truth",
        "samples": "P2S from samples of the prediction to the truth",
        "truth": "P2S from samples of the truth to the prediction",
    }
    views = "of the input view" if len(protocol.views) == 1 else f"summed over {len(protocol.views)} views"
    normal = f"normal error {views} on a {'grey' if protocol.background else 'black'} background"
    parts = [
        p2s[protocol.p2s],
        f"{min(protocol.samples or config.samples, config.samples):,} samples per surface",
        f"distances to the nearest {'point of the surface' if protocol.nearest == 'surface' else 'sample'}",
        f"in {protocol.unit}" + (f" ({100 / protocol.per_metre:.4g} cm of the 1.80 m subject)" if protocol.unit != "cm" else " of the 1.80 m subject"),
        "normal consistency is |cos| between the normals of nearest samples" if protocol.cosine else normal,
    ]
    if protocol.largest_part:
        parts.append("only the largest part of the prediction")
    if (align := config.align or protocol.align) != "none":
        parts.append(f"after alignment ({align})")
    return ", ".join(parts)


def _arrow(better: bool) -> str:
    return "↑" if better else "↓"


def _difference(estimate: Estimate, larger_is_better: bool) -> str:
    mean, span = f"{estimate.mean:+.3f}", f"[{estimate.low:+.3f}, {estimate.high:+.3f}]"
    if estimate.count == 1:
        return mean.replace("-", "−")
    if not estimate.low <= 0 <= estimate.high:
        mean = f"**{mean}** {'better' if (estimate.mean > 0) == larger_is_better else 'worse'}"
    return f"{mean} {span}".replace("-", "−")
