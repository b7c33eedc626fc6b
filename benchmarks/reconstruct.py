"""`ncpifu reconstruct` as a whole: wall time, CPU time and peak memory of the process, imports and files included; and what each further photo costs.

Run `python benchmarks/reconstruct.py`; it prints the table of docs/reconstruct.md. Where a profile has released weights (or --weights NAME=FILE gives
some), the real command runs. Else the network has fresh weights: it is evaluated in full at every point, but its answer is replaced by a person of
capsules, since the surface of an untrained network is noise and would be measured instead.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ncpifu_cli.stages.weights import released_weights

CAPSULES = (  # x, y of both ends, radius: metres of the normalised subject
    ((0.0, 0.75), (0.0, 0.80), 0.10),
    ((0.0, 0.05), (0.0, 0.50), 0.16),
    ((-0.20, 0.48), (-0.42, -0.05), 0.055),
    ((0.20, 0.48), (0.42, -0.05), 0.055),
    ((-0.10, 0.0), (-0.16, -0.82), 0.08),
    ((0.10, 0.0), (0.16, -0.82), 0.08),
)


def distance_to_person(points_m: Any) -> Any:
    """(..., 3) torch metres -> (...) signed distance to the capsules, negative inside."""
    import torch

    nearest = torch.full(points_m.shape[:-1], 9.0)
    for low, high, radius in CAPSULES:
        start, end = torch.tensor([*low, 0.0]), torch.tensor([*high, 0.0])
        along = ((points_m - start) @ (end - start) / ((end - start) ** 2).sum()).clamp(0, 1)
        nearest = torch.minimum(nearest, (points_m - start - along[..., None] * (end - start)).norm(dim=-1) - radius)
    return nearest


def draw_photo(path: Path) -> None:
    """The capsules as a cut-out of 900 x 1200 px."""
    import cv2
    import torch

    rows, columns = np.mgrid[0:1200, 0:900]
    points = np.stack([(columns - 449.5) / 580, (599.5 - rows) / 580, np.zeros(rows.shape)], axis=-1).astype(np.float32)
    inside = distance_to_person(torch.from_numpy(points)).numpy() < 0
    grain = np.random.default_rng(0).integers(60, 200, (1200, 900, 3))
    cv2.imwrite(str(path), np.dstack([grain, inside * 255]).astype(np.uint8))


class KnownAnswer:
    """A real network that is evaluated in full and answers with the capsules."""

    def __init__(self, network: Any) -> None:
        self.network = network

    def encode(self, image: Any, both_ways: bool) -> Any:
        return self.network.encode(image, both_ways=both_ways)

    def query(self, features: Any, points_ndc: Any) -> Any:
        import torch

        unused = self.network.query(features, points_ndc).occupancy
        return SimpleNamespace(occupancy=torch.sigmoid(-60 * distance_to_person(points_ndc * 1.024)) + 0 * unused)


def fresh(profile: str, photos: list[Path], folder: Path, resolution: int) -> None:
    """The command's own path with a fresh network of `profile`."""
    from ncpifu_cli.config.base import load
    from ncpifu_cli.config.reconstruct import ReconstructConfig
    from ncpifu_cli.config.train import TrainConfig
    from ncpifu_cli.models.build import build
    from ncpifu_cli.stages import reconstruct_files
    from ncpifu_cli.stages.reconstruct_batch import reconstruct_batch
    from ncpifu_cli.stages.weights import LoadedModel

    @cache
    def load_fresh() -> LoadedModel:
        import torch

        config = load(TrainConfig, profile).model
        return LoadedModel(KnownAnswer(build(config).eval()), config, {}, torch.device("cpu"), "", Path(profile))

    reconstruct_files.use_all_cores()
    reconstruct_batch(photos, folder, ".obj", ReconstructConfig(resolution=resolution), load_fresh)


def measure(command: list[str]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds, peak memory in MB of one process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", action="append", default=[], metavar="NAME=FILE", help="weights to run; default: the released ones")
    parser.add_argument("--profiles", default="compact,paper", help="profiles to run with fresh weights where there are no others")
    parser.add_argument("--resolutions", default="256,512")
    parser.add_argument("--repeat", type=int, default=3, help="the fastest of so many runs is printed")
    parser.add_argument("--photo", type=Path, default=None, help="default: a drawn cut-out of 900 x 1200 px")
    parser.add_argument("--fresh", nargs="+", metavar="PROFILE RESOLUTION FOLDER PHOTO", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fresh:
        profile, resolution, folder, *photos = options.fresh
        fresh(profile, [Path(photo) for photo in photos], Path(folder), int(resolution))
        return
    given = {**{name: str(path) for name, path in released_weights().items()}, **dict(text.split("=", 1) for text in options.weights)}
    names = list(dict.fromkeys([*given, *options.profiles.split(",")]))
    print(f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores; the fastest of {options.repeat} runs\n")
    print("| weights | resolution | wall s | CPU s | peak MB | each further photo, wall s | CPU s |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        photos = [str(Path(folder) / f"{number}.png") for number in range(2)]
        for photo in photos:
            draw_photo(Path(photo)) if options.photo is None else shutil.copy(options.photo, photo)
        for name in names:
            for resolution in options.resolutions.split(","):
                if name in given:
                    head = [sys.executable, "-m", "ncpifu_cli", "reconstruct", "-o", str(Path(folder) / "out"), "--quiet", "--device", "cpu"]
                    command, label = [*head, "--weights", given[name], "--resolution", resolution], name
                else:
                    command, label = [sys.executable, __file__, "--fresh", name, resolution, str(Path(folder) / "out")], f"{name} (fresh, known answer)"
                wall, cpu, peak = min(measure([*command, photos[0]]) for _ in range(options.repeat))
                wall_2, cpu_2, _ = min(measure([*command, *photos]) for _ in range(options.repeat))
                print(f"| {label} | {resolution} | {wall:.1f} | {cpu:.1f} | {peak:.0f} | {wall_2 - wall:.1f} | {cpu_2 - cpu:.1f} |", flush=True)


if __name__ == "__main__":
    main()
