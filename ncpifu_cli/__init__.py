"""Neural-code PIFu: one photo of a person in, a clothed 3D human mesh out.

Usage::

    from ncpifu_cli import load_model, reconstruct

    model = load_model()                      # the released compact weights
    result = reconstruct("photo.jpg", model)  # result.mesh is a trimesh.Trimesh in metres, y up

"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "load_model", "reconstruct"]

if TYPE_CHECKING:
    from ncpifu_cli.stages.reconstruct import load_model, reconstruct


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    # Lazy: `ncpifu --help` must not import torch.
    if name in ("load_model", "reconstruct"):
        from ncpifu_cli.stages import reconstruct as stage

        return getattr(stage, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
