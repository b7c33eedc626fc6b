"""Phase one of `eval`: reconstruct every photo with every network, meshes to disk; what is finished stays."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import atomic_path, read_json, write_json
from ncpifu_cli.config.eval import EvalConfig
from ncpifu_cli.data.network_input import CLOSE_PX
from ncpifu_cli.data.scans import ScanSource
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import HALF_EXTENT_M
from ncpifu_cli.geometry.extract import EmptySurface
from ncpifu_cli.progress import Reporter
from ncpifu_cli.stages.eval_inputs import draw_inputs, input_path, read_input, scan_hash
from ncpifu_cli.stages.eval_methods import MeshFile, Method, item_name

if TYPE_CHECKING:
    import trimesh

Make = Callable[[str, float, NDArray[np.uint8], NDArray[np.bool_]], "trimesh.Trimesh"]  # subject, yaw, photo and mask -> mesh
STATE_FORMAT = "ncpifu-eval-1"
UNTOLD: dict[str, Any] = {"detail_sha256": "", "back_sha256": "", "surface": 1, "detail": 1}  # of networks in reports from before these were kept
SURFACE_VERSION, DETAIL_VERSION = 5, 7  # raise when the same network's surface, or the detail on it, changes: kept predictions are then of another one
ANOTHER_FOLDER = "give another folder with -o, or delete this one"


class State:
    """What the report's folder was made from (`state.json`): refuses to mix results of other scans, seeds, weights or resolutions."""

    def __init__(self, folder: Path, config: EvalConfig) -> None:
        self._path = folder / "state.json"
        self._config = config
        fresh: dict[str, Any] = {"format": STATE_FORMAT, "dataset": config.dataset, "seed": config.seed, "up": config.up, "scans": {}, "methods": {}}
        if not self._path.is_file() and folder.exists() and any(folder.iterdir()):
            raise NcpifuError(f"{folder} is not empty and was not written by `ncpifu eval`", "give another folder with -o")
        self._state = read_json(self._path) if self._path.is_file() else fresh
        if not isinstance(self._state, dict) or self._state.get("format") != STATE_FORMAT:
            raise NcpifuError(f"{self._path} is not a state file of `ncpifu eval`", ANOTHER_FOLDER)
        for key in ("dataset", "seed", "up"):
            if self._state[key] != fresh[key]:
                raise NcpifuError(f"{folder} holds results for {key} {self._state[key]}, not {fresh[key]}", ANOTHER_FOLDER)

    def claim_scans(self, sources: list[ScanSource]) -> dict[str, str]:
        """Remember these scans and return their hashes; NcpifuError when one of them has changed since its photos were drawn."""
        hashes = {source.name: scan_hash(source) for source in sources}
        for source in sources:
            digest = hashes[source.name]
            if self._state["scans"].setdefault(source.name, digest) != digest:
                raise NcpifuError(f"{self._path.parent} holds results for another {source.name}: {source.path} has changed since", ANOTHER_FOLDER)
        write_json(self._path, self._state)
        return hashes

    def claim_networks(self, methods: list[Method]) -> None:
        """Remember the weights and resolution behind each name; NcpifuError when there are predictions of others under it."""
        for method in methods:
            made_from = {
                "weights_sha256": method.sha256,
                "resolution": self._config.resolution,
                "detail_sha256": method.detail_sha256,
                "back_sha256": method.back_sha256,
                "surface": SURFACE_VERSION,
            } | ({"detail": DETAIL_VERSION} if method.bare else {})
            known = UNTOLD | self._state["methods"].setdefault(method.name, made_from)
            for key, wanted in made_from.items():
                if known.get(key) != wanted:
                    older = dict.fromkeys(("surface", "detail"), "another version of ncpifu")
                    what = ({"resolution": f"resolution {known.get(key)}, not {wanted}"} | older).get(key, "other weights")
                    raise NcpifuError(
                        f"{self._path.parent} holds predictions of {method.name!r} made with {what}", f"{ANOTHER_FOLDER}, or use another name: NAME=FILE"
                    )
        write_json(self._path, self._state)


def predict(method: Method, sources: list[ScanSource], config: EvalConfig, folder: Path, reporter: Reporter) -> None:
    """Make what is missing in `folder/predictions/<method>/`: `<subject>_<yaw>.ply`, or `.failed.json` where no surface came out.

    A method that adds detail starts from the meshes of the bare one, which must be there.
    """
    missing = [(source, yaw) for source in sources for yaw in config.views if not _finished(folder, method.name, source.name, yaw)]
    if not missing:
        return
    size, make = _detailer(method, config, folder) if method.bare else _reconstructor(method, config)
    unreadable = draw_inputs(folder, size, list(dict.fromkeys(source for source, _ in missing)), config, reporter)
    todo = [(source, yaw) for source, yaw in missing if source.name not in unreadable]
    with reporter.task(f"reconstructing with {method.name}", len(todo)) as task:
        for source, yaw in todo:
            image, mask = read_input(input_path(folder, size, source.name, yaw))
            try:
                mesh = make(source.name, yaw, image, mask)
            except EmptySurface as error:
                write_json(_failure_path(folder, method.name, source.name, yaw), {"reason": error.message})
            else:
                with atomic_path(_mesh_path(folder, method.name, source.name, yaw)) as temporary:
                    mesh.export(temporary)
            task.advance(1, item_name(source.name, yaw))


def _reconstructor(method: Method, config: EvalConfig) -> tuple[int, Make]:
    """The side of the photos it takes, and what makes a mesh of one."""
    from ncpifu_cli.stages import reconstruct  # brings torch, which scoring alone does not need

    model = reconstruct.load_model(method.source, config.device)
    return model.config.image_size_px, lambda subject, yaw, image, mask: reconstruct.reconstruct_view(model, image, mask, config.resolution)


def _detailer(method: Method, config: EvalConfig, folder: Path) -> tuple[int, Make]:
    import trimesh

    from ncpifu_cli.stages.detail import add_detail
    from ncpifu_cli.stages.device import pick_device

    weights, device = Path(method.detail_weights), pick_device(config.device)
    backs = Path(method.back_weights) if method.back_weights else None

    def make(subject: str, yaw: float, image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> "trimesh.Trimesh":
        bare = find_prediction(folder, method.bare, subject, yaw)
        if bare.path is None:
            raise EmptySurface(bare.reason)
        mesh = trimesh.load_mesh(bare.path, process=False)
        faces = np.asarray(mesh.faces)
        vertices, faces = add_detail(weights, np.asarray(mesh.vertices) / HALF_EXTENT_M, faces, image, mask.astype(np.float32), device, back_weights=backs)
        return trimesh.Trimesh(vertices * HALF_EXTENT_M, faces, process=False)

    return CLOSE_PX, make


def _finished(folder: Path, method: str, subject: str, yaw_deg: float) -> bool:
    return _mesh_path(folder, method, subject, yaw_deg).is_file() or _failure_path(folder, method, subject, yaw_deg).is_file()


def find_prediction(folder: Path, method: str, subject: str, yaw_deg: float) -> MeshFile:
    """The mesh that `predict` wrote, or the reason why there is none."""
    mesh, failure = _mesh_path(folder, method, subject, yaw_deg), _failure_path(folder, method, subject, yaw_deg)
    if mesh.is_file():
        return MeshFile(mesh)
    return MeshFile(None, str(read_json(failure)["reason"]) if failure.is_file() else "not predicted")


def _mesh_path(folder: Path, method: str, subject: str, yaw_deg: float) -> Path:
    return folder / "predictions" / method / f"{item_name(subject, yaw_deg)}.ply"


def _failure_path(folder: Path, method: str, subject: str, yaw_deg: float) -> Path:
    return folder / "predictions" / method / f"{item_name(subject, yaw_deg)}.failed.json"
