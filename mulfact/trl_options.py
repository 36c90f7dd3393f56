"""The options of TRL's commands, as its own dataclasses and transformers' enums declare them, without importing either.

    options_of("sft")["optim"]       # Option(kinds={"str"}, choices=("adamw_torch", ...))

Importing TRL takes longer than composing a recipe may; reading how its classes are declared takes a blink.
"""

import ast
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mulfact.errors import UserError, unknown

TRANSFORMERS = ("training_args.py", "trainer_utils.py")
# In the order in which one class lays its declarations over another's.
COMMON = ("transformers/training_args.py:TrainingArguments", "trl/trainer/base_config.py:_BaseConfig",
          "trl/scripts/utils.py:ScriptArguments", "trl/scripts/utils.py:DatasetMixtureConfig",
          "trl/trainer/model_config.py:ModelConfig")  # fmt: skip
OWN = {
    "sft": ("trl/trainer/sft_config.py:SFTConfig",),
    "grpo": ("trl/trainer/grpo_config.py:GRPOConfig", "trl/scripts/grpo.py:GRPOScriptArguments"),
}
LAUNCHER = ("env", "accelerate_config", "num_processes")  # options of the command itself
TRACKERS = "transformers/integrations/integration_utils.py"
PYTHON_KINDS = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict}


@dataclass(frozen=True)
class Option:
    """What a value may be: names of kinds, "None" among them, and the choices of an enum or a Literal."""

    kinds: frozenset[str]
    choices: tuple[Any, ...] = ()

    def takes(self, value: Any) -> bool:
        if value is None:
            return "None" in self.kinds or "Any" in self.kinds
        if value in self.choices:
            return True
        if isinstance(value, str) and any(isinstance(choice, str) for choice in self.choices):
            return False
        number = type(value) is int and "float" in self.kinds
        return number or "Any" in self.kinds or any(type(value) is PYTHON_KINDS.get(kind) for kind in self.kinds)

    def expected(self) -> str:
        return " or ".join(map(str, self.choices)) if self.choices else " or ".join(sorted(self.kinds))


def check_options(stage: str, section: Mapping[str, Any]) -> None:
    """Raise UserError for a value that `trl <stage>` would refuse, or for a tracker that cannot be used."""
    options = options_of(stage)
    for key, value in section.items():
        if key in options and not options[key].takes(value):
            if options[key].choices and isinstance(value, str):
                raise unknown(key, value, map(str, options[key].choices), f"{stage}.{key}")
            raise UserError(f"{stage}.{key} is {value!r}: TRL takes {options[key].expected()}")
    reports = section["report_to"]
    for name in [reports] if isinstance(reports, str) else reports or []:
        if name == "none":
            continue
        if name in ("trackio", "all"):
            raise UserError(
                f"{stage}.report_to is {name}: the live page of make's LIVE=1 is the Trackio project of all stages, "
                "where these steps would stand twice; write none, or name another tracker"
            )
        if name not in trackers():
            raise unknown("tracker", name, ("none", *trackers()), f"{stage}.report_to")
        if importlib.util.find_spec(name) is None:
            raise UserError(f"{stage}.report_to is {name}, which is not installed: pip install {name}, or write none")


@cache
def options_of(stage: str) -> dict[str, Option]:
    """Return every option of `trl sft` or `trl grpo` that its dataclasses declare, and those of its launcher."""
    found = {name: Option(frozenset({"Any"})) for name in LAUNCHER}
    for place in (*COMMON, *OWN[stage]):
        path, _, name = place.partition(":")
        for field in classes(path)[name].body:
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_field(field.value):
                found[field.target.id] = read_annotation(field.annotation)
    return found


def is_field(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and getattr(value.func, "id", "") == "field"


def read_annotation(annotation: ast.expr) -> Option:
    """Return what an annotation such as `OptimizerNames | str` or `Literal["a"] | None` allows."""
    kinds: set[str] = set()
    choices: list[Any] = []
    parts = [annotation]
    while parts:
        part = parts.pop()
        if isinstance(part, ast.BinOp):
            parts += [part.left, part.right]
        elif isinstance(part, ast.Subscript) and isinstance(part.value, ast.Name) and part.value.id == "Literal":
            values = part.slice.elts if isinstance(part.slice, ast.Tuple) else [part.slice]
            choices += [ast.literal_eval(value) for value in values]
        elif isinstance(part, ast.Subscript) and isinstance(part.value, ast.Name):
            kinds.add(part.value.id)
        elif isinstance(part, ast.Constant):
            kinds.add(str(part.value))
        elif isinstance(part, ast.Name):
            choices += enums().get(part.id, ())
            kinds.add("str" if part.id in enums() else part.id if part.id in PYTHON_KINDS else "Any")
    return Option(frozenset(kinds), tuple(choices))


@cache
def enums() -> dict[str, tuple[str, ...]]:
    """Return the enums of transformers' trainer by name, with their values."""
    return {
        name: tuple(
            str(one.value.value)
            for one in node.body
            if isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant)
        )
        for file in TRANSFORMERS
        for name, node in classes(f"transformers/{file}").items()
        if any(getattr(base, "id", "") == "ExplicitEnum" for base in node.bases)
    }


@cache
def trackers() -> tuple[str, ...]:
    """Return the names of the trackers that transformers knows."""
    for node in tree(TRACKERS).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "INTEGRATION_TO_CALLBACK":
            assert isinstance(node.value, ast.Dict)
            return tuple(ast.literal_eval(key) for key in node.value.keys if key is not None)
    return ()


@cache
def classes(path: str) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in tree(path).body if isinstance(node, ast.ClassDef)}


@cache
def tree(path: str) -> ast.Module:
    """Return the syntax tree of a module of an installed package, which is not imported."""
    package, _, below = path.partition("/")
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return ast.parse((Path(spec.origin).parent / below).read_text(encoding="utf-8"))
