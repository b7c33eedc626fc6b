"""A photo file in, mesh, sidecar, preview and mask files out: what the command line calls. Cheap checks first, files last, all or none."""

import os
from pathlib import Path

from ncpifu_cli.config.reconstruct import ReconstructConfig
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import SILENT, Reporter
from ncpifu_cli.stages.export import Outputs, plan_outputs, save, write_mask
from ncpifu_cli.stages.reconstruct import Reconstruction, UntrustedMask, prepare, reconstruct_prepared
from ncpifu_cli.stages.weights import find_weights, load_model


def reconstruct_to_files(
    photo: Path,
    mesh: Path,
    config: ReconstructConfig,
    *,
    weights: str | Path | None = None,
    device: str = "auto",
    profile: str | None = None,
    reporter: Reporter = SILENT,
) -> tuple[Reconstruction, Outputs]:
    """Reconstruct `photo` into `mesh` (format by extension), with `<mesh>.json` and, if asked for, `<mesh>.png` and the mask.

    Raises NcpifuError and leaves no output behind. Where the mask cannot be trusted, only `<mesh>_mask_guess.png` is written, for the user to correct.
    """
    path = find_weights(weights)
    inputs = [Path(photo)] if config.mask is None else [Path(photo), Path(config.mask)]
    outputs = plan_outputs(mesh, config.preview, None if config.save_mask is None else Path(config.save_mask), inputs)
    try:
        prepared = prepare(photo, config, reporter)
    except UntrustedMask as error:
        draft = outputs.mesh.with_name(f"{outputs.mesh.stem}_mask_guess.png")
        write_draft(error, draft)
        raise NcpifuError(error.message, f"a draft is in {draft}: correct it and give it as --mask; or {error.hint}", error.exit_code) from error
    reporter.info(f"mask: {prepared.mask.source}")
    use_all_cores()
    with reporter.task("reconstructing", 3) as task:
        task.advance(0, note="reading the weights")
        model = load_model(path, device, profile)
        task.advance(note="network and surface")
        result = reconstruct_prepared(prepared, model, config)
        task.advance(note="writing")
        save(result, outputs)
        task.advance(note="done")
    return result, outputs


def write_draft(error: UntrustedMask, path: Path) -> None:
    """The rough mask, at the photo's size."""
    from ncpifu_cli.artifacts import atomic_path

    with atomic_path(path) as temporary:
        write_mask(error.draft, error.photo_size_px, temporary)


def use_all_cores() -> None:
    """Let torch use every core this process may run on, unless the user's environment says otherwise."""
    if not os.environ.get("OMP_NUM_THREADS"):
        import torch

        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        torch.set_num_threads(cores)
