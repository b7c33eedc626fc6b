"""`eval`: predict to disk, then score against the truth, then report."""

from dataclasses import replace
from pathlib import Path

from ncpifu_cli.artifacts import default_root
from ncpifu_cli.config.eval import EvalConfig
from ncpifu_cli.data.scans import ScanSource
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import SILENT, Reporter
from ncpifu_cli.stages.engine import run_tasks
from ncpifu_cli.stages.eval_inputs import find_subjects
from ncpifu_cli.stages.eval_methods import MeshFile, Method, find_mesh, find_methods
from ncpifu_cli.stages.eval_predict import State, find_prediction, predict
from ncpifu_cli.stages.eval_score import SubjectScores, SubjectTask, score_subject
from ncpifu_cli.stages.report import Report
from ncpifu_cli.stages.report_evaluation import write_report


def evaluate(config: EvalConfig, reporter: Reporter = SILENT) -> Report:
    """Reconstruct the subjects with every network, score all meshes and write the report.

    The report's folder holds `report.html`, `report.md`, `report.json`, `per_subject.csv`, the pictures, `subjects.txt` (a list for `--split`), the photos
    (`inputs/`), the meshes (`predictions/<method>/`) and what was measured (`scores/`). What is finished and still true is never made again.

    Raises NcpifuError when there is nothing to evaluate, when the folder holds results of other data or weights, or when no truth can be used.
    """
    methods = find_methods(config)
    networks = [method for method in methods if method.kind == "weights"]
    subjects = find_subjects(config)
    folder = Path(config.output) if config.output else default_root() / "eval" / default_name(config)
    state = State(folder, config)
    hashes = state.claim_scans(subjects.sources)
    state.claim_networks(networks)
    for method in networks:
        predict(method, subjects.sources, config, folder, reporter)
    tasks = [_task(source, methods, config, folder, hashes[source.name]) for source in subjects.sources]
    _check_found(methods, tasks)
    scores = _score(tasks, config, reporter)
    unscored = dict.fromkeys(subjects.missing, f"no scan of this name in {subjects.folder}")
    unscored |= {score.name: score.problem for score in scores if score.problem}
    for name, problem in unscored.items():
        reporter.warn(f"{name} not scored: {problem}")
    rows = [row for score in scores for row in score.rows]
    report = Report(folder, config, subjects.folder, methods, rows, unscored, {score.name: score.notes for score in scores if score.notes})
    if not report.rows:
        raise NcpifuError(f"none of the {len(tasks)} scans could be used: {next(iter(unscored.values()))}", f"look at the scans in {subjects.folder}")
    write_report(report, {task.source.name: task for task in tasks}, reporter)
    return report


def default_name(config: EvalConfig) -> str:
    """The report's folder under `eval/`: the data set, with the split where one was asked for."""
    return config.dataset + (f"-{Path(config.split).stem}" if config.split else "")


def _task(source: ScanSource, methods: list[Method], config: EvalConfig, folder: Path, scan_sha256: str) -> SubjectTask:
    folder = folder.absolute()  # the nodes of a cluster have other working folders
    source = replace(source, path=source.path.absolute(), texture=source.texture.absolute() if source.texture else None)
    meshes: dict[tuple[str, float], MeshFile] = {}
    for method in methods:
        for yaw in config.views:
            if method.kind == "weights":
                meshes[method.name, yaw] = find_prediction(folder, method.name, source.name, yaw)
            else:
                meshes[method.name, yaw] = find_mesh(method, source.name, yaw, only_view=len(config.views) == 1)
    return SubjectTask(source, config, meshes, scan_sha256, folder / "scores" / f"{source.name}.json")


def _check_found(methods: list[Method], tasks: list[SubjectTask]) -> None:
    """A system none of whose meshes is found has other names, not that many failures."""
    for method in methods:
        found = [mesh for task in tasks for (name, _), mesh in task.meshes.items() if name == method.name]
        if method.kind == "predictions" and not any(mesh.path for mesh in found):
            raise NcpifuError(
                f"--predictions {method.name}: not one of the {len(found)} meshes is there: {found[0].reason}",
                "name their pattern, for example NAME='FOLDER/result_{subject}_{yaw}.obj'",
            )


def _score(tasks: list[SubjectTask], config: EvalConfig, reporter: Reporter) -> list[SubjectScores]:
    """By name. A subject whose process died is one whose truth could not be used."""
    scores = []
    with reporter.task("scoring", len(tasks)) as progress:
        for task, result in run_tasks(score_subject, tasks, config, isolate=False):
            name = task.source.name
            scores.append(SubjectScores(name, problem=f"{result.message}: {result.hint}") if isinstance(result, NcpifuError) else result)
            progress.advance(1, name)
    return sorted(scores, key=lambda score: score.name)
