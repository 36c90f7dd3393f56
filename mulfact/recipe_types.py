"""A setting keeps the kind of value that it has in recipes/base.yaml; what does not is told when a recipe is composed.

    fit({"max_steps": 300}, {"max_steps": "long"}, "override 'pretrain.max_steps=long'", "pretrain")   # UserError

What base.yaml leaves null takes any value, and so do TRL's options that it does not list.
"""

import math
from collections.abc import Mapping
from typing import Any

from mulfact.errors import UserError

# What may be null although base.yaml has a value for it.
NULLABLE = (
    "corpus.benchmarks", "pretrain.max_steps", "tokens.max_steps", "sft.save_total_limit", "grpo.save_total_limit",
    "grpo.num_completions_to_print",
)  # fmt: skip
# Whole numbers in base.yaml for which TRL also takes a share of the steps, and texts for which it takes a list.
SHARES = tuple(f"{stage}.{key}" for stage in ("sft", "grpo") for key in ("warmup_steps", "logging_steps", "save_steps"))
LISTS_TOO = ("sft.report_to", "grpo.report_to")


def fit(base: Any, value: Any, where: str, key: str = "") -> Any:
    """Return `value`, the setting `key` or all of them, as the kind of value that `base` is.

    An interpolation is left as it is. YAML's `no` is a text where `base` is one, and 1e6 a whole number where it is.
    Raises UserError, which names `where`, for a value of another kind.
    """
    if base is None or (isinstance(value, str) and "${" in value) or (value is None and key in NULLABLE):
        return value
    if isinstance(base, Mapping) and isinstance(value, Mapping):
        prefix = f"{key}." if key else ""
        return {
            name: fit(base[name], below, where, f"{prefix}{name}") if name in base else below
            for name, below in value.items()
        }
    if isinstance(base, list) and isinstance(value, list):
        kinds = {type(entry) for entry in base}
        return [fit(base[0], entry, where, key) for entry in value] if len(kinds) == 1 else value
    if isinstance(base, str) and value is False:
        return "no"
    if is_whole(base) and isinstance(value, float) and value.is_integer():
        return int(value)
    if not is_kind(base, value, key):
        raise UserError(f"{where}: {key} is {value!r}: expected {expected(base)}, such as {base!r}")
    return value


def is_kind(base: Any, value: Any, key: str) -> bool:
    """Return whether a value that is no section is of the kind of `base`."""
    if isinstance(base, float) or (is_whole(base) and key in SHARES):
        return is_whole(value) or (isinstance(value, float) and math.isfinite(value))
    if isinstance(base, str) and isinstance(value, list):
        return key in LISTS_TOO
    return type(base) is type(value)


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def expected(base: Any) -> str:
    """Return in words what kind of value `base` is."""
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list"}
    return kinds.get(type(base), "a mapping of keys to values")
