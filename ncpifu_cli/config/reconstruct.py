"""Settings of `ncpifu reconstruct`."""

from typing import Literal

from pydantic import Field, PositiveInt, field_validator

from ncpifu_cli.config.base import Settings

MESH_FORMATS = (".obj", ".ply", ".glb", ".stl", ".off")
COLOURED_FORMATS = (".obj", ".ply", ".glb")
TEXTURED_FORMATS = (".obj", ".glb")
FILMS_BESIDE = ("mp4", "gif")  # a turntable of that name lies beside the mesh, any other name is a file
Person = Literal["largest", "all"] | PositiveInt


class ReconstructConfig(Settings):
    """How one photo becomes one mesh, or one for each person."""

    resolution: int = Field(256, ge=16, le=1024, description="Cells of the occupancy grid per axis.")
    height_m: float = Field(1.80, description="Height of the person as posed, in metres: sets the scale of the mesh.")
    ground: bool = Field(True, description="Put the lowest point at y = 0; else the middle of the person's height is at y = 0.")
    detail: bool = Field(True, description="Give the surface the relief of the normals that a second network sees, on finer triangles in front.")
    keep_perspective: bool = Field(False, description="Leave a near camera's perspective in the mesh: it then lies on the photo from straight ahead.")
    faces: int | None = Field(None, ge=100, description="Decimate to at most so many triangles; None keeps all.")
    smooth: int = Field(0, ge=0, le=100, description="Rounds of smoothing that keeps the volume.")
    texture: bool = Field(False, description="Unwrap the surface and write an image texture in place of vertex colours (.glb, .obj).")
    confidence: bool = Field(False, description="Also say for every vertex how sure the network is, and write a mesh coloured by it.")
    mask: str | None = Field(None, description="Mask file: white is the person. Wins over everything else.")
    mask_only: bool = Field(False, description="Only write the mask.")
    save_mask: str | None = Field(None, description="Write the mask that was used to this file.")
    allow_rough_mask: bool = Field(False, description="Go on with a mask that is only a guess.")
    person: Person = Field("largest", description="Which of several people: the largest, all (one mesh each), or the n-th from the left.")
    person_box: tuple[int, int, int, int] | None = Field(None, description="x, y, width, height of a box around the person, in photo pixels.")
    mask_model: str = Field(
        "auto", description="auto: a rembg model that is on disk, else the built-in networks. none: only colour. Or a rembg model by name, or an .onnx file."
    )
    preview: bool = Field(True, description="Write a preview picture beside the mesh.")
    turntable: str | None = Field(None, description="Write the turning person as this .mp4 or .gif file; only mp4 or gif: beside the mesh.")
    html: bool = Field(False, description="Write a page beside the mesh that shows it in any browser, without internet.")

    @field_validator("height_m")
    @classmethod
    def _height_in_metres(cls, height: float) -> float:
        if not 0.1 < height < 10:
            raise ValueError("must be in metres, above 0.1 and below 10" + (f"; did you mean {height / 100:g}?" if 10 <= height < 1000 else ""))
        return height

    @field_validator("person", mode="before")
    @classmethod
    def _one_or_all(cls, person: object) -> object:
        if person not in ("largest", "all") and not (isinstance(person, int) and person >= 1):
            raise ValueError("must be largest, all, or a number from 1 on, which counts from the left")
        return person

    @field_validator("person_box")
    @classmethod
    def _box_has_an_area(cls, box: tuple[int, int, int, int] | None) -> tuple[int, int, int, int] | None:
        if box is not None and (box[2] <= 0 or box[3] <= 0):
            raise ValueError("the box needs a width and a height above 0: x,y,width,height")
        return box
