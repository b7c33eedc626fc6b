"""`render`: scans -> pictures, masks and labelled points, one folder per subject."""

import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from ncpifu_cli.artifacts import DISK_ERRORS, check_writable, read_json, remove_leftovers
from ncpifu_cli.config.render import RenderSettings
from ncpifu_cli.data.renderers import Renderer, choose_renderer, make_renderer
from ncpifu_cli.data.scan_repair import WARNING
from ncpifu_cli.data.scans import ScanSource, find_scans, read_scan
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import SILENT, Reporter, counted
from ncpifu_cli.stages import pifu_layout
from ncpifu_cli.stages.engine import run_tasks
from ncpifu_cli.stages.eval_inputs import read_split
from ncpifu_cli.stages.render_kept import difference, is_complete, is_drawn
from ncpifu_cli.stages.render_subject import provenance, render_subject


@dataclass
class RenderReport:
    """What a run did.

    Attributes: out: the folder. renderer: which one drew ("" where nothing was left to do). done, skipped: subjects' names. failed: name -> reason.
        notes: name -> what reading the scan detected and repaired. views: pictures drawn. seconds: wall time.
    """

    out: Path
    renderer: str = ""
    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    views: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class _Task:
    source: ScanSource
    out: Path
    settings: RenderSettings
    renderer: str


@dataclass(frozen=True)
class _Rendered:
    views: int
    notes: list[str]


def render(scans: Path, out: Path, settings: RenderSettings | None = None, reporter: Reporter = SILENT) -> RenderReport:
    """Render every scan under `scans` into `out/<subject>/`.

    Subjects that are complete with the same settings and the same scan are skipped, those of another scan or version are drawn anew. A scan that
    cannot be used is reported and the rest goes on.

    Args:
        scans: a data set as downloaded, a folder of meshes, or one mesh. out: where the subjects' folders go.

    Raises NcpifuError where there is nothing to render, no renderer works, `out` cannot be written, or it holds some of the subjects with other settings
    (unless `settings.overwrite`).
    """
    settings = settings or RenderSettings()
    started = time.monotonic()
    scans, out = Path(scans).absolute(), Path(out).absolute()  # the nodes of a cluster have other working folders
    sources = _find(scans, settings, reporter)
    if out.exists() and not out.is_dir():
        raise NcpifuError(f"{out} is a file: the renders need a folder", "give another one with -o")
    check_writable(out)
    remove_leftovers(out)
    report = RenderReport(out)
    drawn = {source.name for source in sources if is_drawn(source, out, settings)}
    report.skipped = [source.name for source in sources if source.name in drawn and _is_laid_out(source, out, settings)]
    todo = [source for source in sources if source.name not in set(report.skipped)]
    stale = [source for source in todo if source.name not in drawn and is_complete(source, out)]
    _tell_what_is_replaced({source.name: difference(source, out, settings) for source in stale}, out, settings, reporter)
    if report.skipped:
        reporter.info(f"{len(report.skipped)} of {len(sources)} subjects are complete already")
    if settings.layout == "pifu" and settings.yaw_step_deg != 1:
        reporter.warn("PIFu's loader wants every degree of yaw: render with --yaw-step 1 to train its code on this folder")
    if todo:
        report.renderer, fallback = choose_renderer(settings.renderer)
        if fallback:
            reporter.warn(fallback)
        reporter.info(f"{counted(len(todo), 'subject')} with the {report.renderer} renderer")
        _render_all([_Task(source, out, settings, report.renderer) for source in todo], report, reporter)
        remove_leftovers(out)  # of processes that died in this run
    if settings.layout == "pifu" and (out / "RENDER").is_dir():
        pifu_layout.write_validation_list(out)
    report.seconds = time.monotonic() - started
    return report


def _tell_what_is_replaced(stale: dict[str, str | None], out: Path, settings: RenderSettings, reporter: Reporter) -> None:
    """Warn of subjects that will be drawn in place of others; raise NcpifuError where those have other settings: hours of rendering may be in them.

    Args: stale, by name: in what they were drawn otherwise, None where it is not the settings.
    """
    otherwise = {name: how for name, how in stale.items() if how}
    if otherwise and not settings.overwrite:
        name, how = next(iter(otherwise.items()))
        raise NcpifuError(
            f"{out} holds {counted(len(otherwise), 'subject')} drawn otherwise ({name}: {how})",
            "give the same settings, another folder with -o, or --overwrite to draw them anew",
        )
    if stale:
        how = next(iter(otherwise.values()), "their scans or this version are others")
        reporter.warn(f"{counted(len(stale), 'subject')} drawn anew, in place of what is there ({how})")


def _find(scans: Path, settings: RenderSettings, reporter: Reporter) -> list[ScanSource]:
    sources = find_scans(scans, settings.dataset)
    if settings.split is None or settings.split == "all":  # as `eval` has it
        return sources
    wanted = set(read_split(settings.split))
    chosen = [source for source in sources if source.name in wanted]
    if not chosen:
        raise NcpifuError(f"none of the {len(wanted)} subjects of {settings.split} is in {scans}", "give --split FILE with the subjects you have")
    if len(chosen) < len(wanted):
        reporter.warn(f"{len(wanted) - len(chosen)} of the {len(wanted)} subjects of {settings.split} are not in {scans}")
    return chosen


def _render_all(tasks: list[_Task], report: RenderReport, reporter: Reporter) -> None:
    started = time.monotonic()
    settings = tasks[0].settings
    # OpenGL stays out of this process even for one job: whoever forks after the first GL call (a training loader) would hang for ever.
    outcomes = run_tasks(_render_one, tasks, settings, isolate=report.renderer != "raster")
    with reporter.task("rendering", len(tasks)) as progress:
        for task, outcome in outcomes:
            name = task.source.name
            if isinstance(outcome, NcpifuError):
                report.failed[name] = outcome.message
                reporter.warn(f"{name} left out: {outcome.message}")
            else:
                report.done.append(name)
                report.notes[name] = outcome.notes
                report.views += outcome.views
                for note in outcome.notes:
                    if note.startswith(WARNING):
                        reporter.warn(f"{name}: {note.removeprefix(WARNING)}")
            progress.advance(1, f"{report.views / (time.monotonic() - started):.3g} views/s")
    report.done.sort()


def _render_one(task: _Task) -> _Rendered | NcpifuError:
    """What was drawn, or what is wrong with this one scan. Raises NcpifuError where no other subject would fare better."""
    source, out, settings = task.source, task.out, task.settings
    try:
        if not is_drawn(source, out, settings):  # a task whose node was lost may have finished without being able to say so
            if not settings.overwrite and (how := difference(source, out, settings)):
                return NcpifuError(f"another command drew it meanwhile ({how})", "give each its own folder with -o")
            renderer = _process_renderer(task.renderer, settings.size_px)
            render_subject(read_scan(source, settings.up, settings.units), provenance(source, settings), out, settings, renderer)
        if settings.layout == "pifu" and not pifu_layout.is_laid_out(out, source.name):
            pifu_layout.lay_out(out, read_scan(source, settings.up, settings.units))
        manifest = read_json(out / source.name / "subject.json")
        return _Rendered(len(manifest["views"]), manifest["notes"])
    except NcpifuError as error:
        return error
    except OSError as error:
        if error.errno in DISK_ERRORS:
            raise NcpifuError(f"cannot write {out}: {error.strerror}", "make room and run again: complete subjects are kept") from error
        return NcpifuError(f"{error.filename or source.path}: {error.strerror or error}")


@lru_cache(maxsize=1)
def _process_renderer(name: str, size_px: int) -> Renderer:
    return make_renderer(name, size_px)  # one per process: a second GL context's end would take the first one down


def _is_laid_out(source: ScanSource, out: Path, settings: RenderSettings) -> bool:
    return settings.layout != "pifu" or pifu_layout.is_laid_out(out, source.name)
