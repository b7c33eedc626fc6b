"""Settings of whatever runs many tasks: shared by the verbs that do."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from ncpifu_cli.config.base import Settings

EngineName = Literal["processes", "ray"]


class EngineSettings(Settings):
    """Where tasks run. Nothing here decides what comes out."""

    engine: EngineName = Field("processes", description="processes of this machine, or ray: the nodes of a Ray cluster that share the folders")
    address: str | None = Field(None, description="of the Ray cluster: HOST:6379, or auto; without one, Ray is started on this machine")
    jobs: int = Field(0, ge=0, description="processes; 0 = one per available core")

    @field_validator("address")
    @classmethod
    def _is_of_a_cluster(cls, address: str | None, info: ValidationInfo) -> str | None:
        if address is not None and info.data.get("engine") == "processes":
            raise ValueError("an address is a Ray cluster's: give --engine ray too")
        return address
