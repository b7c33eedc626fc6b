"""Training speed by network and way of computing, side by side in one run: images per second and peak memory, on random input.

    python benchmarks/training.py [--config compact] [--threads 0] [--steps 6] [--batch 0] [--rows full pifu] [--ways float32 bfloat16 channels_last compile]
    python benchmarks/training.py --config paper --operations 25 --rows full --ways bfloat16       # where the time of a step goes

Prints a Markdown table. Each row runs in a process of its own, so that its memory is its own. With one CPU thread the time is the process's CPU time, which
other work on the machine does not change; else it is wall time. Memory on a CPU is the growth of the process's peak over what it needs before the first step
plus weights and gradients; on a GPU what its allocator gave out at most.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

WAYS = ("float32", "bfloat16", "channels_last", "compile")  # the last two in bfloat16


def random_batch(config: Any, count: int) -> dict[str, Any]:
    """What the loader would give for `count` images of a `TrainConfig`, on the CPU."""
    import torch

    size, depth_px = config.model.image_size_px, config.model.image_size_px // config.model.depth_stride
    batch = {
        "image": torch.rand(count, 3, size, size) * 2 - 1,
        "depth": torch.rand(count, config.model.depth_layers, depth_px, depth_px) - 0.5,
        "points": torch.rand(count, config.data.points, 3) * 2 - 1,
        "inside": torch.rand(count, config.data.points) > 0.5,
        "camera": torch.zeros(count, 3),
    }
    return batch


def measure(name: str, ablation: str, way: str, options: argparse.Namespace) -> dict[str, float]:
    """One row: full optimiser steps on a fixed random batch after one step of warming up (compiling)."""
    import torch

    from ncpifu_cli.config.base import load
    from ncpifu_cli.config.train import TrainConfig
    from ncpifu_cli.models.build import build
    from ncpifu_cli.stages.train import _forward

    if options.threads:
        torch.set_num_threads(options.threads)
    config = load(TrainConfig, name, ablation=ablation)
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network: Any = build(config.model).to(device).train()
    count = options.batch or config.optim.batch_size
    batch = {name: tensor.to(device) for name, tensor in random_batch(config, count).items()}
    if way == "channels_last":
        network = network.to(memory_format=torch.channels_last)
        batch["image"] = batch["image"].contiguous(memory_format=torch.channels_last)
    if way == "compile":
        network.encoder.compile()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=way != "float32"):
            terms, _ = _forward(network, batch, config)
        terms["total"].backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        float(terms["total"].detach())  # wait for the device

    clock = time.process_time if options.threads == 1 and device.type == "cpu" else time.perf_counter
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 0.0
    for number in range(options.steps + 1):
        if number == 1:
            begun = clock()
        step()
    seconds = (clock() - begun) / max(options.steps, 1)
    memory = torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    if options.operations:
        sys.stderr.write(costliest(step, device, options.operations))
    return {"images_per_s": count / seconds if options.steps else 0.0, "weights_m": sum(p.numel() for p in network.parameters()) / 1e6, "memory_mb": memory}


def costliest(step: Callable[[], None], device: Any, count: int) -> str:
    """The `count` operations of a step that take most time on the device, and how many there are: many short ones wait for the CPU that starts them."""
    from torch.profiler import ProfilerActivity, profile

    on_gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])], record_shapes=True) as record:
        step()
    table = record.key_averages(group_by_input_shape=True).table(
        sort_by="self_device_time_total" if on_gpu else "self_cpu_time_total", row_limit=count, max_name_column_width=40, max_shapes_column_width=60
    )
    kernels = sum(event.device_type.name == "CUDA" for event in record.events()) if on_gpu else sum(event.cpu_parent is None for event in record.events())
    return f"{kernels} {'kernels' if on_gpu else 'calls'} in a step\n{table}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="compact")
    parser.add_argument("--threads", type=int, default=0, help="0 = all cores")
    parser.add_argument("--steps", type=int, default=6, help="0 measures memory alone")
    parser.add_argument("--batch", type=int, default=0, help="0 = the profile's")
    parser.add_argument("--rows", nargs="*", default=["full", "no_integration", "no_codebooks", "pifu"], help="ablations")
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=WAYS)
    parser.add_argument("--operations", type=int, default=0, help="also tell the so many costliest operations of each row")
    parser.add_argument("--row", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        sys.stdout.write(json.dumps(measure(options.config, *options.row, options)))
        return
    print(f"| {options.config}: network | computed in | images/s | weights (M) | memory (MB) |\n|---|---|---|---|---|")
    for ablation in options.rows:
        for way in options.ways:
            command = [sys.executable, __file__, "--config", options.config, "--threads", str(options.threads), "--steps", str(options.steps)]
            command += ["--operations", str(options.operations)]
            done = subprocess.run([*command, "--batch", str(options.batch), "--row", ablation, way], capture_output=True, text=True)
            if done.returncode:
                print(f"| {ablation} | {way} | {done.stderr.strip().splitlines()[-1][:120]} | | |", flush=True)
                continue
            if options.operations:
                print(done.stderr)
            row = json.loads(done.stdout)
            print(f"| {ablation} | {way} | {row['images_per_s']:.1f} | {row['weights_m']:.1f} | {row['memory_mb']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
