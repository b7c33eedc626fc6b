"""`eval`: predict to disk, then score against the truth, then report."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from ncpifu_cli.artifacts import default_root
from ncpifu_cli.config.eval import EvalConfig
from ncpifu_cli.data.scans import ScanSource
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import SILENT, Reporter
from ncpifu_cli.stages.eval_inputs import find_subjects
from ncpifu_cli.stages.eval_predict import State, find_foreign, find_methods, find_prediction, predict
from ncpifu_cli.stages.eval_score import SubjectScores, SubjectTask, score_subject
from ncpifu_cli.stages.report import MethodInfo, Report, write_report
from ncpifu_cli.stages.report_figure import draw_figure

Meshes = dict[tuple[str, float], Path | str]


def evaluate(config: EvalConfig, reporter: Reporter = SILENT) -> Report:
    """Reconstruct the subjects with every network, score all meshes and write the report.

    The report's folder holds `report.md`, `report.json`, `per_subject.csv`, `figure.png`, the photos (`inputs/`) and the meshes (`predictions/<method>/`).
    Finished predictions are kept; scores are always measured anew.

    Raises NcpifuError when there is nothing to evaluate, when the folder holds results of other data or weights, or when no truth can be used.
    """
    methods = find_methods(config)
    networks = [method for method in methods if method.kind == "weights"]
    data, sources = find_subjects(config)
    folder = Path(config.output) if config.output else default_root() / "eval" / default_name(config)
    state = State(folder, config)
    state.claim_scans(sources)
    state.claim_networks(networks)
    for method in networks:
        predict(method, sources, config, folder, reporter)
    tasks = [SubjectTask(source, config, _meshes(source, methods, config, folder)) for source in sources]
    with reporter.task("scoring", len(tasks)) as task:
        scores = []
        for score in _score_all(tasks, config.jobs):
            scores.append(score)
            task.advance(1, score.name)
    unscored = {score.name: score.problem for score in scores if score.problem}
    for name, problem in unscored.items():
        reporter.warn(f"{name} not scored: {problem}")
    report = Report(folder, config, data, methods, [row for score in scores for row in score.rows], unscored, {score.name: score.notes for score in scores})
    if not report.rows:
        raise NcpifuError(f"none of the {len(sources)} scans could be used: {next(iter(unscored.values()))}", f"look at the scans in {data}")
    figure = draw_figure(report, {task.source.name: task for task in tasks}) if config.figure_rows else None
    write_report(report, figure)
    return report


def default_name(config: EvalConfig) -> str:
    """The report's folder under `eval/`: the data set, with the split where one was asked for."""
    return config.dataset + (f"-{Path(config.split).stem}" if config.split else "")


def _meshes(source: ScanSource, methods: list[MethodInfo], config: EvalConfig, folder: Path) -> Meshes:
    meshes: Meshes = {}
    for method in methods:
        for yaw in config.views:
            if method.kind == "weights":
                meshes[method.name, yaw] = find_prediction(folder, method.name, source.name, yaw)
            else:
                meshes[method.name, yaw] = find_foreign(Path(method.source), source.name, yaw, only_view=len(config.views) == 1)
    return meshes


def _score_all(tasks: Iterable[SubjectTask], jobs: int) -> Iterator[SubjectScores]:
    if jobs == 1:
        yield from map(score_subject, tasks)
        return
    # spawn, not fork: the parent holds torch's threads.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        try:
            yield from pool.map(score_subject, tasks)
        except BrokenProcessPool as error:
            raise NcpifuError("a scoring process died", "out of memory? run again with fewer --jobs: the predictions are kept") from error


def _one_thread() -> None:
    os.environ["IGL_NUM_THREADS"] = "1"
