"""The settings of a stage: a flat YAML file and flags, read into the dataclass that declares them.

    arguments = parse(PretrainArguments)    # --config outputs/smoke/mulfact/seed-0/recipes/pretrain.yaml --max_steps 5

The defaults stand in recipes/base.yaml; the dataclass says of each setting its type, its rule and what it means.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mulfact.errors import UserError, unknown

Arguments = TypeVar("Arguments")
BASE = Path(__file__).resolve().parents[1] / "recipes" / "base.yaml"  # in a checkout

# ${json:${section.key}}: a value as JSON, for what TRL exports as an environment variable.
OmegaConf.register_resolver(
    "json",
    lambda value: json.dumps(OmegaConf.to_container(value) if OmegaConf.is_config(value) else value),
    replace=True,
)
# ${either:${section.key},this,that}: this where the key has a value, else that.
OmegaConf.register_resolver("either", lambda value, this, that: that if value is None else this, replace=True)


def parse(
    dataclass: type[Arguments], command_line: Sequence[str] | None = None, section: str | None = None
) -> Arguments:
    """Return a stage's arguments from `--config <flat yaml>` and flags, through TRL's parser.

    Without a file, `section` of recipes/base.yaml has the defaults; a file names every setting, for it is the record.
    Raises UserError for a missing or malformed file and for an unknown key, naming the nearest valid one.
    """
    from trl import TrlParser

    command_line = sys.argv[1:] if command_line is None else command_line
    config = _flag_value("--config", command_line)
    if config is not None:
        valid = {field.name for field in dataclasses.fields(dataclass)}  # type: ignore[arg-type]
        for key in load_yaml(Path(config)):
            if key not in valid:
                raise unknown("key", key, valid, config)
    parser = TrlParser([dataclass])  # type: ignore[list-item]
    if section is not None and config is None:
        parser.set_defaults_with_config(**base_settings(section))
    try:
        (arguments,) = parser.parse_args_and_config(command_line)
    except (ValueError, TypeError) as error:
        raise UserError(f"{config or 'command line'}: {error}") from error
    return arguments


def parse_each(dataclass: type[Arguments]) -> list[Arguments]:
    """Return the arguments of each file in `--config <flat yaml> <flat yaml> ...`; further flags hold for all of them.

    Raises UserError as `parse`.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", nargs="+")
    known, flags = parser.parse_known_args()
    if known.config is None:
        return [parse(dataclass)]
    return [parse(dataclass, ["--config", path, *flags]) for path in known.config]


def _flag_value(flag: str, command_line: Sequence[str]) -> str | None:
    return command_line[command_line.index(flag) + 1] if flag in command_line[:-1] else None


def base_settings(section: str) -> dict[str, Any]:
    """Return a section of recipes/base.yaml, such as "tokenizer" or "corpus.synthetic"; no folders of an experiment."""
    node = OmegaConf.select(OmegaConf.create(load_yaml(BASE)), section)
    settings = {}
    for key in node:
        with suppress(OmegaConfBaseException):  # leads to the experiment, which nobody has named
            settings[str(key)] = OmegaConf.to_container(node[key]) if OmegaConf.is_config(node[key]) else node[key]
    return settings


def load_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file, interpolations kept. Raises UserError if it is missing or not a mapping."""
    if not path.is_file():
        raise UserError(f"{path} does not exist: expected a YAML file")
    try:
        content = OmegaConf.load(path)
    except (yaml.YAMLError, UnicodeDecodeError, OmegaConfBaseException, OSError) as error:
        raise UserError(f"{path} is not a YAML mapping: {' '.join(str(error).split())}") from error
    if not isinstance(content, DictConfig):
        raise UserError(f"{path} must hold a mapping of keys to values; found a list")
    return container(content)


def container(config: DictConfig) -> dict[str, Any]:
    return {str(key): value for key, value in OmegaConf.to_container(config, resolve=False).items()}  # type: ignore[union-attr]
