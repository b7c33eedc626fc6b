"""Settings: one frozen pydantic model per stage, unknown keys are errors, every key has a sentence.

`load(ModelType, yaml_path_or_name, overrides)` reads a YAML file (its `extends:` first), applies `key.sub=value` overrides and validates.
"""

from ncpifu_cli.config.base import CONFIGS, Settings, dump, load

__all__ = ["CONFIGS", "Settings", "dump", "load"]
