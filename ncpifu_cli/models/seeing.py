"""What every network begins with: an encoder, and the heads that read off its maps what the photo shows of surfaces and camera."""

from collections.abc import Sequence

from torch import Tensor, nn

from ncpifu_cli.models.api import Seen
from ncpifu_cli.models.blocks.camera_head import CameraHead
from ncpifu_cli.models.blocks.depth_head import DepthHead, FineDepthHead
from ncpifu_cli.models.blocks.hourglass import StackedHourglass
from ncpifu_cli.models.blocks.unet import UNet


class SeeingNetwork(nn.Module):
    """Encoder and heads. camera_head: None for networks that do not tell the camera."""

    def __init__(self, encoder: StackedHourglass | UNet, depth_head: DepthHead | FineDepthHead, camera_head: CameraHead | None) -> None:
        super().__init__()
        self.encoder, self.depth_head, self.camera_head = encoder, depth_head, camera_head

    def see(self, image: Tensor) -> Seen:
        """(B, 3, H, W) -> surfaces, at 1 / `depth_stride` of the image's resolution, and camera: all that is needed to train the encoder by itself."""
        return self.seen_in(*self.encoder(image))

    def seen_in(self, maps: Sequence[Tensor], stem: Tensor) -> Seen:
        """The same from the encoder's maps, (B, C, H/4, W/4) each, and stem (B, C_stem, H/2, W/2)."""
        return Seen(self.depth_head(maps, stem), None if self.camera_head is None else self.camera_head(maps[-1]))
