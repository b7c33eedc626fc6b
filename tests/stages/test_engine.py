import importlib.util
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from engine_tasks import process, square
from scan_fixtures import write_draco

from ncpifu_cli.config.engine import EngineSettings
from ncpifu_cli.config.render import RenderSettings
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import Silent, Task
from ncpifu_cli.stages.engine import DIED, run_tasks
from ncpifu_cli.stages.render import render

TWO = EngineSettings(jobs=2)


def test_a_dying_process_costs_one_item_only() -> None:
    outcomes = list(run_tasks(square, [1, 2, 13, 4, -5, 6], TWO))
    assert sorted(item for item, _ in outcomes) == [-5, 1, 2, 4, 6, 13]  # each once
    results = dict(outcomes)
    assert results[13] is DIED
    assert isinstance(results[-5], NcpifuError)
    assert {item: results[item] for item in (1, 2, 4, 6)} == {1: 1, 2: 4, 4: 16, 6: 36}


def test_what_is_wrong_with_the_machine_stops_everything() -> None:
    with pytest.raises(NcpifuError, match="disk is full") as caught:
        list(run_tasks(square, [99, 1], TWO))
    assert caught.value.hint == "make room"


def test_one_job_may_stay_in_this_process() -> None:
    one = EngineSettings(jobs=1)
    assert dict(run_tasks(process, [0], one, isolate=False)) == {0: os.getpid()}
    assert dict(run_tasks(process, [0], one))[0] != os.getpid()
    assert list(run_tasks(process, [], one)) == []


def test_without_ray_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(NcpifuError, match="needs Ray") as caught:
        list(run_tasks(square, [1], EngineSettings(engine="ray")))
    assert "cluster" in caught.value.hint


class Saboteur(Silent):
    """Takes a node away when the first subject is done; remembers when each was written."""

    def __init__(self, out: Path, cluster: Any, node: Any) -> None:
        self.out, self.cluster, self.node, self.written = out, cluster, node, {}

    @contextmanager
    def task(self, description: str, total: float | None) -> Iterator[Task]:
        yield self

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        if self.node is not None:
            deadline = time.monotonic() + 20
            while len(list(self.out.glob(".tmp-*"))) < 2 and time.monotonic() < deadline:  # both nodes are in the middle of a subject
                time.sleep(0.01)
            self.cluster.remove_node(self.node, allow_graceful=False)
            self.node = None
        self.written |= {path: path.stat().st_mtime_ns for path in self.out.glob("[!.]*/subject.json") if path not in self.written}


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra `cluster` is not installed")
def test_a_cluster_that_loses_a_node_finishes_and_does_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")  # sockets' paths must stay short
    from ray.cluster_utils import Cluster

    names = [f"train-{number:06d}" for number in range(6)]
    for name in names:
        write_draco(tmp_path / "scans" / f"{name}.drc")
    small = {"yaw_step_deg": 45, "size_px": 256, "near_points": 20_000, "prt_directions": 16, "renderer": "raster"}
    memory = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**memory, "include_dashboard": False})
    try:
        saboteur = Saboteur(tmp_path / "out", cluster, cluster.add_node(**memory))
        settings = RenderSettings.model_validate({**small, "engine": "ray", "address": cluster.address})
        report = render(tmp_path / "scans", tmp_path / "out", settings, saboteur)
    finally:
        cluster.shutdown()
    assert saboteur.node is None
    assert (report.done, report.failed) == (names, {})
    assert {path.parent.name for path in saboteur.written} == set(names)
    assert {path: path.stat().st_mtime_ns for path in saboteur.written} == saboteur.written  # nothing was drawn over
    assert not any(path.is_dir() and not (path / "subject.json").is_file() for path in (tmp_path / "out").glob("[!.]*"))
