"""The settings that an experiment was made with: a later command need not repeat them, and cannot forget them unseen.

    settings = take(Path("outputs/smoke"), given={"OVERRIDES": "pretrain.max_steps=50"})
    settings.overrides()      # ["pretrain.max_steps=50"]

They lie in recipes/settings.yaml of the experiment. A variable that a command names takes the place of the one that is
remembered; named and empty (`OVERRIDES=`) it is forgotten. Which arms and seeds an experiment has is remembered from
`make experiment` alone; the Makefile reads it from the same file, for it must know its targets.
"""

import argparse
import json
import math
import os
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import yaml

from mulfact.command_line import Processes
from mulfact.errors import UserError

TEXTS = ("OVERRIDES", "GSM8K")
GRID = ("CONDITIONS", "SEEDS", "CONTROLS")
VARIABLES = (*TEXTS, *GRID)
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
        others = " ".join(f"{name}={'' if name in TEXTS else '...'}" for name in self.remembered)
        return f"as this experiment was made: {named}   (say {others} to have it otherwise)" if named else ""

    def save(self, folder: Path) -> None:
        """Remember them for the next command in this experiment."""
        path = settings_file(folder)
        kept = {name: value for name, value in self.values.items() if value}
        if kept != read(folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = yaml.safe_dump(kept, allow_unicode=True, sort_keys=True, width=math.inf)  # the Makefile reads lines
            path.write_text(lines, encoding="utf-8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what make says of an experiment's place and settings."""
    parser.add_argument("--outputs", default="outputs", help="the folder above that of the scale")
    parser.add_argument("--processes", nargs="*", action=Processes, default=1, help="that share one pretraining")
    parser.add_argument("--given", nargs="*", default=[], help="variables of the environment that this command names")
    parser.add_argument("--set", nargs="*", default=[], metavar="SECTION.KEY=VALUE", help="override single settings")


def of(options: argparse.Namespace) -> tuple[Settings, list[str]]:
    """Return the settings of a command with `add_arguments`, and all of its overrides: the last ones hold."""
    folder, named = Path(options.outputs) / options.scale, given(options.given)
    own = named if vars(options).get("experiment") else {name: named[name] for name in named if name in TEXTS}
    used = {str(word) for name in ("conditions", "controls", "seeds") for word in vars(options).get(name) or []}
    settings = take(folder, own, used, set(named) - set(own))
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
        raise UserError(f"{path} cannot be read: say {'=, '.join(VARIABLES)}= anew, and delete it ({error})") from error


def given(names: Iterable[str]) -> dict[str, str]:
    """Return the variables that a command named, from the environment, to which the Makefile exports them."""
    values = {name: os.environ.get(name, "") for name in names if name in VARIABLES}
    return {name: value if name in TEXTS else " ".join(value.split()) for name, value in values.items()}


def take(
    folder: Path, given: Mapping[str, str], used: Set[str] = frozenset(), once: Set[str] = frozenset()
) -> Settings:
    """Return the settings of a command that named the variables `given`, with those that the experiment remembers.

    `used` are the arms and seeds that the command is about: it tells of a remembered grid only where it goes by it, and
    not of the variables that it names for this `once`.
    """
    before = read(folder)
    goes_by = {name for name in before if name in TEXTS or (name not in once and used >= set(before[name].split()))}
    return Settings({**before, **given}, tuple(name for name in before if name in goes_by and name not in given))


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
