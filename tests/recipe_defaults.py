"""The settings of recipes/base.yaml, for tests that change a few of them."""

from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from mulfact.settings import load_yaml

BASE = Path(__file__).resolve().parent.parent / "recipes" / "base.yaml"


@cache
def _resolved() -> dict[str, Any]:
    recipe = OmegaConf.create(load_yaml(BASE) | {"scale": "smoke", "condition": "baseline"})
    return OmegaConf.to_container(recipe, resolve=True)  # type: ignore[return-value]


def defaults(section: str, **changes: Any) -> dict[str, Any]:
    """Return a section of base.yaml, such as "corpus" or "corpus.synthetic", with `changes`."""
    content: Any = _resolved()
    for name in section.split("."):
        content = content[name]
    return {**content, **changes}
