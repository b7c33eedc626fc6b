"""Photo files in, mesh, sidecar, preview and mask files out: what the command line calls. Cheap checks first, files last, all or none."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ncpifu_cli.artifacts import atomic_path
from ncpifu_cli.config.reconstruct import ReconstructConfig
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import SILENT, Reporter
from ncpifu_cli.stages.export import mask_png, save_all
from ncpifu_cli.stages.outputs import Outputs, draft_path, plan_outputs
from ncpifu_cli.stages.reconstruct import Prepared, Reconstruction, UntrustedMask, prepare, reconstruct_prepared
from ncpifu_cli.stages.sidecar import mask_document
from ncpifu_cli.stages.weights import LoadedModel, find_weights, load_model


@dataclass(frozen=True)
class Written:
    """What is told of one person's files, without photo and mesh, which a batch of thousands could not keep.

    Attributes: outputs; mask: what the sidecar says of it; warnings: what should be looked at; sidecar: None where only the mask was asked for.
    """

    outputs: Outputs
    mask: dict[str, Any]
    warnings: tuple[str, ...]
    sidecar: dict[str, Any] | None = None

    @property
    def main(self) -> Path:
        """The file that was asked for."""
        return self.outputs.mask if self.sidecar is None and self.outputs.mask is not None else self.outputs.mesh


def model_loader(weights: str | Path | None = None, device: str = "auto", profile: str | None = None) -> Callable[[], LoadedModel]:
    """Find weights and device now (NcpifuError where they are not there), load them when the first photo needs them, and only once."""
    path = find_weights(weights)
    if device not in ("auto", "cpu"):
        from ncpifu_cli.stages.device import pick_device

        pick_device(device)  # a device that is not there is told before any work

    @cache
    def load() -> LoadedModel:
        use_all_cores()
        return load_model(path, device, profile)

    return load


def reconstruct_to_files(
    photo: Path, mesh: Path, config: ReconstructConfig, load: Callable[[], LoadedModel], reporter: Reporter = SILENT, keep: Sequence[Path] = ()
) -> list[Written]:
    """Reconstruct `photo` into `mesh` (format by extension) and what else `config` asks for; with person "all" into `<mesh>_1`, `<mesh>_2`, ...

    `keep`: files, besides photo and mask, that nothing may replace. Raises NcpifuError and leaves no output behind, of none of several people. Where the mask
    cannot be trusted, only `<mesh>_mask_guess.png` is written, for the user to correct.
    """
    inputs = [Path(photo), *([] if config.mask is None else [Path(config.mask)]), *keep]
    plan = plan_outputs(mesh, config, inputs)
    try:
        people = prepare(photo, config, reporter)
    except UntrustedMask as error:
        picture = mask_png(error.draft, error.photo.size_px)
        draft = draft_path(plan.mesh, inputs, picture)
        with atomic_path(draft) as temporary:
            temporary.write_bytes(picture)
        raise NcpifuError(error.message, f"a draft is in {draft}: correct it and give it as --mask; or {error.hint}", error.exit_code) from error
    mask = people[0].mask
    reporter.info(f"mask: {mask.source}" + ("" if mask.confidence is None else f", {mask.confidence:.0%} sure"))
    plans = [plan] if config.person != "all" else [plan_outputs(mesh, config, inputs, number) for number in range(1, len(people) + 1)]
    if config.mask_only:
        return _masks(list(zip(people, plans, strict=True)))
    results = [_reconstructed(person, config, load, reporter) for person in people]
    documents = save_all(list(zip(results, plans, strict=True)))
    return [Written(outputs, document["mask"], result.warnings, document) for outputs, document, result in zip(plans, documents, results, strict=True)]


def _masks(people: Sequence[tuple[Prepared, Outputs]]) -> list[Written]:
    """Write the masks, all or none."""
    with ExitStack() as stack:
        for person, outputs in people:
            assert outputs.mask is not None  # what was asked for
            stack.enter_context(atomic_path(outputs.mask)).write_bytes(mask_png(person.mask, person.photo.size_px))
    return [Written(outputs, mask_document(person.mask), person.warnings) for person, outputs in people]


def _reconstructed(person: Prepared, config: ReconstructConfig, load: Callable[[], LoadedModel], reporter: Reporter) -> Reconstruction:
    with reporter.task("reconstructing", 2) as task:
        task.advance(0, note="reading the weights")
        model = load()
        task.advance(note="network and surface")
        result = reconstruct_prepared(person, model, config, reporter)
        task.advance(note="done")
    return result


def use_all_cores() -> None:
    """Let torch use every core this process may run on, unless the user's environment says otherwise."""
    if not os.environ.get("OMP_NUM_THREADS"):
        import torch

        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        torch.set_num_threads(cores)
