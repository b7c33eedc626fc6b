"""What every network answers: encode a photo once, query it any number of times. Nothing is kept on the network in between."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from torch import Tensor


class CodebookReport(NamedTuple):
    """How a codebook was used in one pass; for logging, balancing and revival (detached but for `balance`).

    Attributes: usage (K,) share of points that chose each code first; balance () KL of the mean soft use from uniform, in nats;
    openness () share of codes the gate left open; samples (M, C) normalised inputs, from which dead codes are revived.
    """

    usage: Tensor
    balance: Tensor
    openness: Tensor
    samples: Tensor


class Seen(NamedTuple):
    """What the encoder's own heads say.

    Attributes: depth (S, B, L, h, w), of the surfaces along each ray in units of phi, front and back first; camera (B, 3), how near it is
    (`blocks/camera_head.py`), None for networks that do not tell.
    """

    depth: Tensor
    camera: Tensor | None = None


@dataclass(frozen=True)
class Features:
    """An encoded photo.

    Attributes: encoded, what is to be queried (the network's own affair; the S hourglass outputs lie one behind the other along the batch, so that all are
    queried at once); seen, what the encoder's heads say.
    """

    encoded: Any
    seen: Seen


@dataclass(frozen=True)
class Prediction:
    """The answer at points.

    Attributes: logits (S, B, N) for the S queried hourglass outputs, the last one is the answer. codebooks: reports by branch name, of all outputs together.
    """

    logits: Tensor
    codebooks: dict[str, CodebookReport]

    @property
    def occupancy(self) -> Tensor:
        """(B, N) probability of being inside; the surface is at 0.5."""
        return self.logits[-1].float().sigmoid()


class ImplicitModel(Protocol):
    """The contract of method section 2-9: images (B, 3, H, W) in [-1, 1] with background 0, points (B, N, 3) in NDC."""

    def encode(self, image: Tensor, true_depth_ndc: Tensor | None = None, both_ways: bool = False) -> Features: ...

    def see(self, image: Tensor) -> Seen: ...

    def query(self, features: Features, points_ndc: Tensor) -> Prediction: ...
