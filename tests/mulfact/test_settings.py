"""A stage's settings: read from a flat file or from flags, with defaults in base.yaml alone."""

import dataclasses
import sys
from pathlib import Path

import pytest

from mulfact.errors import UserError
from mulfact.settings import base_settings, parse, parse_each


@dataclasses.dataclass
class ExampleArguments:
    max_steps: int = dataclasses.field(default=1, metadata={"help": "an example"})
    sources: list[dict] = dataclasses.field(default_factory=list, metadata={"help": "an example of a nested value"})


def test_parse_reads_the_flat_yaml_and_names_unknown_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "stage.yaml"
    monkeypatch.setattr(sys, "argv", ["stage", "--config", str(path)])
    with pytest.raises(UserError, match="does not exist"):
        parse(ExampleArguments)
    path.write_text("max_steps: 7\nsources: [{name: synthetic}]\n")
    assert parse(ExampleArguments) == ExampleArguments(7, [{"name": "synthetic"}])
    path.write_text("max_stepz: 7\n")
    with pytest.raises(UserError, match="did you mean 'max_steps'"):
        parse(ExampleArguments)
    path.write_text("max_steps: [\n")
    with pytest.raises(UserError, match="not a YAML mapping"):
        parse(ExampleArguments)


def test_parse_each_reads_every_file_and_lays_the_flags_over_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / "first.yaml", tmp_path / "second.yaml"]
    for steps, path in enumerate(paths, 1):
        path.write_text(f"max_steps: {steps}\n")
    monkeypatch.setattr(sys, "argv", ["stage", "--config", *map(str, paths)])
    assert [arguments.max_steps for arguments in parse_each(ExampleArguments)] == [1, 2]
    monkeypatch.setattr(sys, "argv", ["stage", "--config", *map(str, paths), "--max_steps", "9"])
    assert [arguments.max_steps for arguments in parse_each(ExampleArguments)] == [9, 9]
    monkeypatch.setattr(sys, "argv", ["stage", "--max_steps", "3"])
    assert [arguments.max_steps for arguments in parse_each(ExampleArguments)] == [3]
    paths[1].write_text("max_stepz: 7\n")
    monkeypatch.setattr(sys, "argv", ["stage", "--config", *map(str, paths)])
    with pytest.raises(UserError, match=f"{paths[1]}.*did you mean 'max_steps'"):
        parse_each(ExampleArguments)


@dataclasses.dataclass
class PartOfTokenizer:
    output_dir: str = dataclasses.field(metadata={"help": "a folder, which only a user can name"})
    max_operand: int = dataclasses.field(metadata={"help": "has a default in base.yaml"})


def test_without_a_file_the_defaults_are_those_of_base(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = base_settings("tokenizer")
    assert "output_dir" not in known  # it lies in an experiment that nobody named
    monkeypatch.setattr("mulfact.settings.base_settings", lambda section: {"max_operand": known["max_operand"]})
    monkeypatch.setattr(sys, "argv", ["stage", "--output_dir", "out"])
    assert parse(PartOfTokenizer, section="tokenizer") == PartOfTokenizer("out", known["max_operand"])
    config = tmp_path / "stage.yaml"
    config.write_text("output_dir: out\n")
    monkeypatch.setattr(sys, "argv", ["stage", "--config", str(config)])
    with pytest.raises(SystemExit):  # a file is the record of what was run: it names every setting
        parse(PartOfTokenizer, section="tokenizer")
