"""Start a new run from weights that exist: every tensor that fits is taken over, what stays fresh is named."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.checkpoint import FORMAT, read_tensors
from ncpifu_cli.stages.weights import find_weights

GROWING = ("depth_head.read.", "depth_head.correct.")  # layers that get further outputs at their end; in others, rows mean something by their place
NAMED = 3  # tensors told by name in a message


@dataclass(frozen=True)
class WarmStart:
    """What was taken over from `path`.

    Attributes: taken, grown, fresh, unused: tensors that fitted; whose first rows fitted, the network's depth head knowing more surfaces; that the network has
        and the file has not in this shape; that the file has in vain.
    """

    path: Path
    taken: list[str]
    grown: list[str]
    fresh: list[str]
    unused: list[str]

    @property
    def fits(self) -> bool:
        """Whether the weights are of this kind of network: most tensors were taken over."""
        return len(self.taken) > len(self.fresh)

    def __str__(self) -> str:
        text = f"{len(self.taken)} of {len(self.taken) + len(self.grown) + len(self.fresh)} tensors from {self.path}"
        for what, names in (("with fresh rows added", self.grown), ("fresh", self.fresh), ("unused", self.unused)):
            if names:
                text += f"; {len(names)} {what}: {', '.join(names[:NAMED])}{', ...' if len(names) > NAMED else ''}"
        return text if self.fits else f"almost nothing fits, is it of another profile? {text}"


def warm_start(model: nn.Module, weights: str | Path) -> WarmStart:
    """Copy into `model` every tensor of the weights (a file or a released name) that has the same name and shape there.

    Where the network's depth head only knows more surfaces, the first rows are taken over.

    Raises NcpifuError when the weights cannot be read or not a single tensor fits.
    """
    path = find_weights(weights)
    found, header = read_tensors(path)
    if header.get("format") != FORMAT:
        raise NcpifuError(f"{path} holds no {FORMAT} weights", "start from the weights.safetensors of a run, or from released weights")
    own = model.state_dict()
    taken = [name for name in own if name in found and found[name].shape == own[name].shape]
    if not taken:
        raise NcpifuError(f"no tensor of {path} fits this network", "start from weights of the same profile, or without --init-from")
    grown = [name for name in own if name in found and name not in taken and _has_rows_added(name, own[name], found[name])]
    for name in taken:
        own[name].copy_(found[name])
    for name in grown:
        own[name][: len(found[name])].copy_(found[name])
    used = {*taken, *grown}
    return WarmStart(path, taken, grown, [name for name in own if name not in used], [name for name in found if name not in used])


def _has_rows_added(name: str, own: Tensor, found: Tensor) -> bool:
    return name.startswith(GROWING) and own.shape[1:] == found.shape[1:] and len(own) > len(found)
