"""Settings of `ncpifu reconstruct`."""

from pydantic import Field, field_validator

from ncpifu_cli.config.base import Settings

MESH_FORMATS = (".obj", ".ply", ".glb", ".stl", ".off")


class ReconstructConfig(Settings):
    """How one photo becomes one mesh."""

    resolution: int = Field(256, ge=16, le=1024, description="Cells of the occupancy grid per axis; rounded by the extraction to what its levels need.")
    height_m: float = Field(1.80, gt=0.1, lt=10, description="Height of the person as posed, in metres: sets the scale of the mesh.")
    mask: str | None = Field(None, description="Mask file: white is the person. Wins over everything else.")
    person_box: tuple[int, int, int, int] | None = Field(None, description="x, y, width, height of a box around the person, in photo pixels.")
    use_rembg: bool = Field(True, description="Use a rembg model when its file is already on disk; nothing is ever downloaded.")
    allow_rough_mask: bool = Field(False, description="Go on with a mask that is only a guess.")
    preview: bool = Field(True, description="Write a preview picture beside the mesh.")
    save_mask: str | None = Field(None, description="Write the mask that was used to this file.")

    @field_validator("person_box")
    @classmethod
    def _box_has_an_area(cls, box: tuple[int, int, int, int] | None) -> tuple[int, int, int, int] | None:
        if box is not None and (box[2] <= 0 or box[3] <= 0):
            raise ValueError("the box needs a width and a height above 0: x,y,width,height")
        return box
