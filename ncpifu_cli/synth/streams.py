"""One independent random stream per stage, so that changing one stage never reshuffles another."""

import zlib

import numpy as np

GENERATOR_VERSION = 9  # raise it when the same seed gives another human

SPLITS = ("train", "test", "ood")
SEEDS_PER_SPLIT = 1_000_000


def global_seed(split: str, number: int) -> int:
    """The seed of human `number` of a split; splits own disjoint ranges. Raises ValueError outside of them."""
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {split!r}")
    if not 0 <= number < SEEDS_PER_SPLIT:
        raise ValueError(f"seed must lie in 0..{SEEDS_PER_SPLIT - 1}, not {number}")
    return SPLITS.index(split) * SEEDS_PER_SPLIT + number


def subject_name(split: str, number: int) -> str:
    """`train-000001`."""
    return f"{split}-{number:06d}"


class Streams:
    """Named random generators of one human: `streams.get("hair")` is the same sequence whatever other stages drew."""

    def __init__(self, seed: int, attempt: int = 0) -> None:
        self.seed, self.attempt = seed, attempt

    def get(self, name: str) -> np.random.Generator:
        """A fresh generator for stage `name`; equal (seed, attempt, name) give equal sequences on every machine."""
        return np.random.default_rng(np.random.SeedSequence([self.seed, zlib.crc32(name.encode()), self.attempt]))

    def integer(self, name: str) -> int:
        """A seed for the hash noise of stage `name`, 0 .. 2^20 - 1."""
        return int(self.get("noise:" + name).integers(1 << 20))
