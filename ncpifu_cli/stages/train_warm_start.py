"""Start a new run from weights that exist: every tensor that fits is taken over, the rest stays fresh and is named."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.checkpoint import FORMAT, read_tensors
from ncpifu_cli.stages.weights import find_weights

NAMED = 6  # tensors told by name in a message


@dataclass(frozen=True)
class WarmStart:
    """What was taken over from `path`.

    Attributes: taken, fresh, unused: tensors that fitted; that the network has and the file has not in this shape; that the file has in vain.
    """

    path: Path
    taken: list[str]
    fresh: list[str]
    unused: list[str]

    def __str__(self) -> str:
        text = f"{len(self.taken)} of {len(self.taken) + len(self.fresh)} tensors from {self.path}"
        for what, names in (("fresh", self.fresh), ("unused", self.unused)):
            if names:
                text += f"; {len(names)} {what}: {', '.join(names[:NAMED])}{', ...' if len(names) > NAMED else ''}"
        return text


def warm_start(model: nn.Module, weights: str | Path) -> WarmStart:
    """Copy into `model` every tensor of the weights (a file or a released name) that has the same name and shape there.

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
    for name in taken:
        own[name].copy_(found[name])
    return WarmStart(path, taken, [name for name in own if name not in taken], [name for name in found if name not in taken])
