import numpy as np
import pytest

from ncpifu_cli.synth.noise import fractal_noise, smoothstep, value_noise
from ncpifu_cli.synth.streams import SPLITS, Streams, global_seed

FROZEN = [363085, 724553, 358024]


def test_a_stream_does_not_depend_on_what_others_drew() -> None:
    alone = Streams(7).get("hair").random(5)
    streams = Streams(7)
    streams.get("garment 0").random(1000)
    assert np.array_equal(streams.get("hair").random(5), alone)


def test_streams_differ_by_name_seed_and_attempt() -> None:
    values = {float(g.random()) for g in (Streams(1).get("a"), Streams(1).get("b"), Streams(2).get("a"), Streams(1, 1).get("a"))}
    assert len(values) == 4


def test_streams_are_the_same_on_every_machine() -> None:
    """Frozen numbers: if they change, every published seed names another human (raise GENERATOR_VERSION)."""
    assert Streams(42).get("pose").integers(1_000_000, size=3).tolist() == FROZEN
    assert Streams(3).integer("cloth") == Streams(3).integer("cloth") < 1 << 20


def test_splits_never_share_a_seed() -> None:
    seeds = [global_seed(split, number) for split in SPLITS for number in (0, 1, 999_999)]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize(("split", "number"), [("valid", 1), ("train", -1), ("train", 1_000_000)])
def test_impossible_seeds_are_refused(split: str, number: int) -> None:
    with pytest.raises(ValueError, match="must"):
        global_seed(split, number)


def test_noise_is_bounded_smooth_and_seeded() -> None:
    points = np.random.default_rng(0).uniform(-50, 50, (2000, 3))
    values = value_noise(points, 5)
    assert np.abs(values).max() <= 1
    assert values.std() > 0.2
    assert np.abs(value_noise(points + 1e-4, 5) - values).max() < 1e-3
    assert np.abs(value_noise(points, 6) - values).mean() > 0.2
    assert np.abs(fractal_noise(points, 4, 1)).max() <= 1


def test_smoothstep_rises_or_falls() -> None:
    x = np.array([-1.0, 0.0, 0.5, 1.0, 2.0])
    assert np.allclose(smoothstep(0, 1, x), [0, 0, 0.5, 1, 1])
    assert np.allclose(smoothstep(1, 0, x), [1, 1, 0.5, 0, 0])
