"""Make dressed, posed humans on disk: `<out>/<subject>/mesh.drc` and `meta.json` (see `ncpifu_cli.artifacts`)."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ncpifu_cli.artifacts import atomic_folder, atomic_path, check_writable, default_root, read_json, remove_leftovers, write_json
from ncpifu_cli.config.synth import NO_WISHES, ClothKind, MeshDetail, SynthConfig, Wishes
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import SILENT, Reporter, counted
from ncpifu_cli.stages.contact_sheet import check_sheet_path
from ncpifu_cli.stages.engine import run_tasks
from ncpifu_cli.synth.streams import GENERATOR_VERSION, subject_name

MESH_FILE, META_FILE = "mesh.drc", "meta.json"
LARGEST_SEED = 999_999


@dataclass
class SynthResult:
    """What a run did. Attributes: folder; made, kept: subject names; retried: made humans that failed a gate in other poses
    first -> why; rejected, failed: subject name -> why."""

    folder: Path
    made: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    retried: dict[str, str] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def subjects(self) -> list[str]:
        """All humans that are now in the folder, of those asked for."""
        return sorted(self.made + self.kept)

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {**vars(self), "folder": str(self.folder)}


@dataclass(frozen=True)
class _Job:
    split: str
    number: int
    folder: str
    detail: MeshDetail
    device: str
    mesh_file: str
    wishes: Wishes
    cloth: ClothKind


@dataclass(frozen=True)
class _Outcome:
    """One human's end: status "made", "rejected" or "failed", and why."""

    name: str
    status: str
    reason: str = ""


def synth(config: SynthConfig, out: Path | None = None, sheet: Path | None = None, reporter: Reporter = SILENT, wishes: Wishes = NO_WISHES) -> SynthResult:
    """Make the humans of `config` under `out` (default: `scans` in the data root); finished ones are kept, so a stopped run can go on.

    Args:
        sheet: also write a contact sheet (PNG or JPEG: four sides in colour and normals, and slices) of the first 24 humans asked for.
        wishes: what is fixed about all of them; the rest differs from seed to seed.

    Raises NcpifuError when a wish names what does not exist, the folder or the sheet's cannot be written, the body model is missing, or no human could be made.
    """
    folder = Path(out) if out is not None else default_root() / "scans"
    plan = planned(config)
    if wishes != NO_WISHES:
        from ncpifu_cli.synth.wishes import check, held_out

        check(wishes)
        if config.split != "ood" and (rare := held_out(wishes)):
            reporter.warn(f"else only ood humans show {', '.join(rare)}: a network that learns from these is no longer measured fairly on those")
    _check_device(config.device)
    check_writable(folder)
    if sheet is not None:
        check_sheet_path(Path(sheet))
    remove_leftovers(folder)
    result, mesh_file = SynthResult(folder), f"mesh.{config.format}"
    jobs = []
    for split, number in plan:
        name = subject_name(split, number)
        if is_finished(folder / name, mesh_file, wishes, config.cloth, config.detail):
            result.kept.append(name)
        else:
            jobs.append(_Job(split, number, str(folder.absolute()), config.detail, config.device, mesh_file, wishes, config.cloth))
    if result.kept:
        reporter.info(f"there already, and kept: {counted(len(result.kept), 'human')}")
    if jobs:
        _run(jobs, config, result, reporter)
    if not result.subjects:
        first = next(iter({**result.failed, **result.rejected}.values()))
        raise NcpifuError(f"none of {len(plan)} humans could be made; the first: {first}", "other seeds (--seed) may fare better")
    if sheet is not None:
        write_sheet(folder, result.subjects[:24], Path(sheet), mesh_file)
    return result


def planned(config: SynthConfig) -> list[tuple[str, int]]:
    """(split, number) of every human asked for."""
    counts = {config.split: config.count} if config.split else {"train": config.count, "test": max(2, config.count // 10)}
    if config.seed + max(counts.values()) - 1 > LARGEST_SEED:
        raise NcpifuError(f"seeds {config.seed} .. {config.seed + max(counts.values()) - 1} go beyond {LARGEST_SEED}", "choose a smaller --seed or --count")
    return [(split, number) for split, count in counts.items() for number in range(config.seed, config.seed + count)]


def is_finished(subject: Path, mesh_file: str = MESH_FILE, wishes: Wishes = NO_WISHES, cloth: ClothKind = "simulated", detail: MeshDetail = "train") -> bool:
    """Whether a human lies there complete, of this generator's version, made with the same wishes, kind of cloth and detail."""
    from ncpifu_cli.synth.wishes import as_described

    if not (subject / META_FILE).is_file() or not (subject / mesh_file).is_file():
        return False
    try:
        meta = read_json(subject / META_FILE)
    except NcpifuError:  # cut short by a power failure: made again
        return False
    if not isinstance(meta, dict):
        return False
    made_of = meta.get("generator_version"), meta.get("wishes", {}), meta.get("cloth", "simulated"), meta.get("detail", "train")
    return made_of == (GENERATOR_VERSION, as_described(wishes), cloth, detail)


def write_sheet(folder: Path, names: Sequence[str], target: Path, mesh_file: str = MESH_FILE) -> None:
    """A contact sheet of finished humans as PNG or JPEG."""
    import cv2

    from ncpifu_cli.synth.assemble import decode_mesh
    from ncpifu_cli.synth.preview import Subject, contact_sheet

    subjects = []
    for name in names:
        path, meta = folder / name / mesh_file, read_json(folder / name / META_FILE)
        mesh = decode_mesh(path.read_bytes(), path.suffix[1:])
        worn = " ".join(f"{item['garment']}:{item['pattern']}" for item in meta["outfit"])
        subjects.append(Subject(f"{name} {meta['pose']['family']} {worn} {meta['hair']}", mesh.vertices, mesh.faces, mesh.colors))
    picture = contact_sheet(subjects)
    encoded, data = cv2.imencode(target.suffix, picture[..., ::-1])
    if not encoded:
        raise NcpifuError(f"cannot encode the contact sheet {target}")
    with atomic_path(target) as temporary:
        temporary.write_bytes(data.tobytes())


def _check_device(device: str) -> None:
    if device == "cuda":
        import warp

        from ncpifu_cli.synth.warp_runtime import start_warp

        start_warp()
        if not warp.is_cuda_available():
            raise NcpifuError("no CUDA device was found", "use --device cpu")


def _run(jobs: list[_Job], config: SynthConfig, result: SynthResult, reporter: Reporter) -> None:
    from ncpifu_cli.synth.body import load_body_model

    load_body_model(reporter)  # once here, so that its slow first preparation is announced and happens only once
    with reporter.task("making humans", len(jobs)) as task:
        for job, ended in run_tasks(_make, jobs, config, isolate=False):
            outcome = _Outcome(subject_name(job.split, job.number), "failed", ended.message) if isinstance(ended, NcpifuError) else ended
            if outcome.status == "made":
                result.made.append(outcome.name)
                if outcome.reason:
                    result.retried[outcome.name] = outcome.reason
                    reporter.info(f"{outcome.name} made, at the second or third try (before: {outcome.reason})")
            else:
                (result.rejected if outcome.status == "rejected" else result.failed)[outcome.name] = outcome.reason
                reporter.warn(f"{outcome.name} {outcome.status}: {outcome.reason}")
            task.advance(1, outcome.name)
    result.made.sort()


def _make(job: _Job) -> _Outcome:
    """Make and write one human; what goes wrong with this seed is an outcome, what is wrong with the machine is an error."""
    from ncpifu_cli.synth.assemble import TRAINING_FACES, encode_mesh
    from ncpifu_cli.synth.gates import RejectedHuman
    from ncpifu_cli.synth.human import make_human

    name = subject_name(job.split, job.number)
    try:
        human = make_human(job.split, job.number, job.wishes, face_budget=None if job.detail == "full" else TRAINING_FACES, device=job.device, cloth=job.cloth)
    except RejectedHuman as error:
        return _Outcome(name, "rejected", "; ".join(error.reasons))
    except (ValueError, IndexError, RuntimeError, ArithmeticError) as error:
        return _Outcome(name, "failed", f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
    target = Path(job.folder) / name
    try:
        with atomic_folder(target) as temporary:
            path = temporary / job.mesh_file
            path.write_bytes(encode_mesh(human.mesh, path.suffix[1:]))
            for other in target.glob("mesh.*"):  # the same human in another format stays
                if other.name != job.mesh_file and is_finished(target, other.name, job.wishes, job.cloth, job.detail):
                    shutil.copy2(other, temporary)
            write_json(temporary / META_FILE, human.description | {"detail": job.detail})
    except OSError as error:
        raise NcpifuError(f"cannot write {target}: {error.strerror or error}", "is the disk full?") from error
    retried = human.description.get("rejected_attempts", [])
    return _Outcome(name, "made", "; then ".join("; ".join(reasons) for reasons in retried))
