"""Training speed by profile and network, side by side in one run: images per second and peak memory, on random input.

    python benchmarks/training.py [--config compact] [--threads 0] [--steps 6]

Prints a Markdown table. Each row runs in a process of its own, so that its memory is its own.
"""

import argparse
import json
import resource
import subprocess
import sys
import time


def measure(config_name: str, ablation: str, precision: str, threads: int, steps: int) -> dict[str, float]:
    """One row: full optimiser steps on a fixed random batch after one step of warming up."""
    import torch

    from ncpifu_cli.config.base import load
    from ncpifu_cli.config.train import TrainConfig
    from ncpifu_cli.models.build import build
    from ncpifu_cli.models.losses import loss

    if threads:
        torch.set_num_threads(threads)
    config = load(TrainConfig, config_name, ablation=ablation)
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = build(config.model).to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    batch, size = config.optim.batch_size, config.model.image_size_px
    image = torch.rand(batch, 3, size, size, device=device) * 2 - 1
    points = torch.rand(batch, config.data.points, 3, device=device) * 2 - 1
    inside = torch.rand(batch, config.data.points, device=device) > 0.5
    begun = 0.0
    for step in range(steps + 1):
        if step == 1:
            begun = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            terms = loss(network.query(network.encode(image), points), inside, config.loss)
        terms["total"].backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        float(terms["total"].detach())  # wait for the device
    seconds = (time.perf_counter() - begun) / steps
    return {
        "images_per_s": batch / seconds,
        "weights_m": sum(p.numel() for p in network.parameters()) / 1e6,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="compact")
    parser.add_argument("--threads", type=int, default=0, help="0 = all cores")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--row", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        sys.stdout.write(json.dumps(measure(options.config, *options.row, options.threads, options.steps)))
        return
    print(f"| {options.config}: network | precision | images/s | weights (M) | peak memory (MB) |\n|---|---|---|---|---|")
    for ablation in ("full", "no_integration", "no_codebooks", "pifu"):
        for precision in ("float32", "bfloat16"):
            command = [sys.executable, __file__, "--config", options.config, "--threads", str(options.threads), "--steps", str(options.steps)]
            done = subprocess.run([*command, "--row", ablation, precision], capture_output=True, text=True, check=True)
            row = json.loads(done.stdout)
            print(f"| {ablation} | {precision} | {row['images_per_s']:.1f} | {row['weights_m']:.1f} | {row['memory_mb']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
