"""The cumulative error plot of a report, as PNG for the page and as PDF for a paper."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ncpifu_cli.artifacts import atomic_path
from ncpifu_cli.geometry.statistics import bootstrap_band
from ncpifu_cli.stages.eval_score import CURVE_CM, FAILED_DISTANCE_CM
from ncpifu_cli.stages.report import Report
from ncpifu_cli.stages.report_page import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PNG_NAME, PDF_NAME = "curves.png", "curves.pdf"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5B5B5B", "#8C6D1F")  # Okabe and Ito: told apart by colour-blind readers
LINES = ("-", "--", ":")
STYLE: Any = {"font.family": "sans-serif", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e6e8eb"}


def draw_curves(report: Report) -> Picture:
    """Draw, for every method, the share of surface within a distance of the other surface and the share of subjects below a Chamfer distance."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        for index, method in enumerate(report.methods):
            look = {"color": COLOURS[index % len(COLOURS)], "linestyle": LINES[index // len(COLOURS) % len(LINES)]}
            curves = report.per_subject(method.name, "within") * 100
            left.plot(CURVE_CM, curves.mean(axis=0), label=method.name, **look)
            left.fill_between(CURVE_CM, *bootstrap_band(curves, report.config.seed), color=look["color"], alpha=0.18, linewidth=0)
            chamfer = np.sort(report.per_subject(method.name, "chamfer_cm"))
            right.step([0, *chamfer, FAILED_DISTANCE_CM], [0, *np.arange(1, len(chamfer) + 1) / len(chamfer) * 100, 100], where="post", **look)
        _label(left, "distance (cm)", "surface within this distance (%)", float(CURVE_CM[-1]))
        _label(right, "Chamfer distance (cm)", "subjects up to this distance (%)", _longest(report))
        left.legend(loc="lower right", frameon=False)
        for name in (PNG_NAME, PDF_NAME):
            with atomic_path(report.folder / name) as temporary:
                figure.savefig(temporary, dpi=200)
    caption = (
        "Left: share of the surface that lies within a distance of the other surface, mean of both directions and over subjects, with its 95 % interval. "
        f"Right: share of subjects up to a Chamfer distance. For print: `{PDF_NAME}`."
    )
    return Picture(report.folder / PNG_NAME, caption)


def _label(axes: "Axes", x: str, y: str, end: float) -> None:
    axes.set(xlabel=x, ylabel=y, xlim=(0, end), ylim=(0, 101))


def _longest(report: Report) -> float:
    """The largest Chamfer distance that is not a failure's."""
    distances = np.concatenate([report.per_subject(method.name, "chamfer_cm") for method in report.methods])
    real = distances[distances < FAILED_DISTANCE_CM]
    return float(real.max()) * 1.05 if len(real) else FAILED_DISTANCE_CM
