"""The settings that an experiment was made with: a later command need not repeat them, and cannot forget them unseen.

    settings = take(Path("outputs/smoke"), given={"OVERRIDES": "pretrain.max_steps=50"})
    settings.overrides()      # ["pretrain.max_steps=50"]

They lie in recipes/settings.yaml of the experiment. A variable that a command names takes the place of the one that is
remembered; named and empty (`OVERRIDES=`) it is forgotten.
"""

import argparse
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from mulfact.command_line import Processes
from mulfact.errors import UserError

VARIABLES = ("OVERRIDES", "GSM8K")
OPENING, CLOSING, QUOTES = "[{", "]}", "\"'"


@dataclass(frozen=True)
class Settings:
    """Variables of make by name, and those among them that no command named but the experiment remembers."""

    values: Mapping[str, str]
    remembered: tuple[str, ...] = ()

    def overrides(self) -> list[str]:
        """Return all of them as settings of the recipe; those of OVERRIDES come last and hold."""
        gsm8k = self.values.get("GSM8K")
        return [*([f"posttrain.gsm8k={json.dumps(gsm8k)}"] if gsm8k else []), *split(self.values.get("OVERRIDES", ""))]

    def told(self) -> str:
        """Return a line that says what is remembered; empty when nothing is."""
        named = " ".join(f"{name}='{self.values[name]}'" for name in self.remembered)
        forget = " ".join(f"{name}=" for name in self.remembered)
        return f"as this experiment was made: {named}   ({forget} to do without)" if named else ""

    def save(self, folder: Path) -> None:
        """Remember them for the next command in this experiment."""
        path = settings_file(folder)
        kept = {name: value for name, value in self.values.items() if value}
        if kept != read(folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(yaml.safe_dump(kept, allow_unicode=True, sort_keys=True), encoding="utf-8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what make says of an experiment's place and settings."""
    parser.add_argument("--outputs", default="outputs", help="the folder above that of the scale")
    parser.add_argument("--processes", nargs="*", action=Processes, default=1, help="that share one pretraining")
    parser.add_argument("--given", nargs="*", default=[], help="variables of the environment that this command names")
    parser.add_argument("--set", nargs="*", default=[], metavar="SECTION.KEY=VALUE", help="override single settings")


def of(options: argparse.Namespace) -> tuple[Settings, list[str]]:
    """Return the settings of a command with `add_arguments`, and all of its overrides: the last ones hold."""
    settings = take(Path(options.outputs) / options.scale, given(options.given))
    processes = [] if options.processes == 1 else [f"pretrain.num_processes={options.processes}"]
    return settings, [*processes, *settings.overrides(), *options.set]


def settings_file(folder: Path) -> Path:
    return folder / "recipes" / "settings.yaml"


def read(folder: Path) -> dict[str, str]:
    """Return what is remembered. Raises UserError for a file that was edited into something else."""
    path = settings_file(folder)
    if not path.is_file():
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return {name: str(content[name]) for name in VARIABLES if content.get(name)}
    except (yaml.YAMLError, UnicodeDecodeError, AttributeError, TypeError) as error:
        raise UserError(f"{path} cannot be read: say OVERRIDES= and GSM8K= anew, and delete it ({error})") from error


def given(names: Iterable[str]) -> dict[str, str]:
    """Return the variables that a command named, from the environment, to which the Makefile exports them."""
    return {name: os.environ.get(name, "") for name in names if name in VARIABLES}


def take(folder: Path, given: Mapping[str, str]) -> Settings:
    """Return the settings of a command that named the variables `given`, with those that the experiment remembers."""
    before = read(folder)
    return Settings({**before, **given}, tuple(name for name in before if name not in given))


def split(overrides: str) -> list[str]:
    """Return the settings in a text: blanks divide them, outside of quotes and of brackets.

    Quotes around a whole setting, which a shell would need, are taken off. Raises UserError for one that does not end.
    """
    found, word, depth, quote = [], "", 0, ""
    for sign in overrides:
        if sign.isspace() and not quote and depth <= 0:
            found.append(word)
            word = ""
            continue
        if quote:
            quote = "" if sign == quote else quote
        elif sign in QUOTES and (not word or not word[-1].isalnum()):
            quote = sign
        elif sign in OPENING + CLOSING:
            depth += 1 if sign in OPENING else -1
        word += sign
    if quote or depth > 0:
        raise UserError(f"OVERRIDES: {word!r} has a {'quote' if quote else 'bracket'} that does not end")
    words = [one for one in (*found, word) if one]
    return [one[1:-1] if one[0] in QUOTES and one[-1] == one[0] and len(one) > 1 else one for one in words]
