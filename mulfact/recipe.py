"""Compose recipes: base + scale + arm + seed + overrides, resolved into one flat YAML per stage beside its output.

    python -m mulfact.recipe --scale smoke --conditions baseline mulfact --seeds 0
    python -m mulfact.recipe --scale smoke --conditions mulfact --seeds 1 --set pretrain.max_steps=50

A file is written only when its content changes, so that `make` runs again exactly the stages whose recipe changed.
"""

import argparse
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mulfact.command_line import Conditions, Pairs, Seeds
from mulfact.errors import UserError, command, unknown
from mulfact.halves import half_overlay, runs_of
from mulfact.layout import CONDITION_STAGES, RUN_STAGES, SHARED_STAGES, recipe_file
from mulfact.locks import experiment_lock
from mulfact.recipe_checks import check_composed, check_written_paths
from mulfact.recipe_types import fit
from mulfact.settings import container, load_yaml

# A section that belongs to a TRL command takes every option of that command, listed in base.yaml or not.
TRL_STAGES = ("sft", "grpo")

# Values that are mappings by themselves: their keys are the user's or are checked by the stage that reads them.
FREE_FORM = ("corpus.sources", "tokenizer.custom_tokens", "sft.env", "grpo.env")

# Keys that only the command line may set, and the variable of make that does.
RUN_KEYS = {"scale": "SCALE", "condition": "CONDITION", "seed": "SEED"}
COMMAND_LINE = {**RUN_KEYS, "outputs": "OUTPUTS"}
# Keys that overrides would set in vain.
GRID_KEYS = {
    **RUN_KEYS, "compare.conditions": "CONDITIONS", "compare.seeds": "SEEDS", "halves.arm": "CONDITION",
    "halves.pairs": "PAIRS",
}  # fmt: skip


def compose(
    recipes_dir: Path,
    scale: str,
    condition: str,
    seed: int,
    overrides: Iterable[str] = (),
    grid: Mapping[str, Any] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the flat recipe of every stage of one run, by stage name.

    Raises UserError for an unknown scale, arm or key, for a value that cannot be read, and for settings that contradict
    each other.
    """
    base = OmegaConf.create(load_yaml(recipes_dir / "base.yaml"))
    run = {"scale": scale, "condition": condition, "seed": seed, **(grid or {})}
    known = resolved(merge(base, run, "command line"), f"recipe {recipes_dir / 'base.yaml'}")
    recipe = base
    for folder, name in (("scales", scale), ("arms", condition)):
        for path, overlay in overlays(recipes_dir / folder, name):
            recipe = merge(recipe, overlay, str(path), known)
    for override in overrides:
        recipe = merge(recipe, parse_override(override), f"override {override!r}", known)
    where = f"recipe {scale}/{condition}"
    flat = fit(known, resolved(merge(recipe, run, "command line"), where), where)
    stages: dict[str, dict[str, Any]] = {name: section for name, section in flat.items() if isinstance(section, dict)}
    check_composed(stages)
    check_written_paths(stages, Path(flat["outputs"]))
    return stages


def resolved(recipe: DictConfig, where: str) -> dict[str, Any]:
    """Return a recipe with its interpolations filled in. Raises UserError for one that leads nowhere."""
    try:
        flat = OmegaConf.to_container(recipe, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(f"{where}: {str(error).splitlines()[0]}") from error
    assert isinstance(flat, dict)
    return {str(name): value for name, value in flat.items()}


def overlays(folder: Path, name: str, above: tuple[str, ...] = ()) -> list[tuple[Path, dict[str, Any]]]:
    """Return the overlay `name` of a folder with its file, behind those that it `extends`.

    Raises UserError for a name without a file, for files that extend each other, for a key that only the command line
    may set, and for an arm that sets more than its tokenizer.
    """
    path = folder / f"{name}.yaml"
    half = half_overlay(name) if folder.name == "arms" else None
    if half is None and (not path.is_file() or Path(name).name != name):
        raise unknown(folder.name.removesuffix("s"), name, {p.stem for p in folder.glob("*.yaml")}, str(folder))
    overlay = half or load_yaml(path)
    for key, variable in COMMAND_LINE.items():
        if key in overlay:
            raise UserError(f"{path}: {key} is set on the command line only (make {variable}=...); remove it here")
    base = overlay.pop("extends", None)
    if folder.name == "arms" and (others := overlay.keys() - {"tokenizer"}):
        raise UserError(
            f"{path}: {', '.join(sorted(others))} must not be set by an arm: arms differ in the section tokenizer "
            "alone, or they could not be compared; set it for all arms, in recipes/scales/ or with OVERRIDES="
        )
    if base in (*above, name):
        raise UserError(f"{path}: extends {base}, which extends {name} in its turn; remove one of the two")
    return [*(overlays(folder, str(base), (*above, name)) if base else []), (path, overlay)]


def merge(
    recipe: DictConfig, overlay: Mapping[str, Any], where: str, known: Mapping[str, Any] | None = None
) -> DictConfig:
    """Return `recipe` with `overlay` laid over it.

    Raises UserError for a key that `recipe` does not have, and for a value of another kind than in `known`.
    """
    check_keys(container(recipe), overlay, where)
    merged = OmegaConf.merge(recipe, OmegaConf.create(fit(known, dict(overlay), where)))
    assert isinstance(merged, DictConfig)
    return merged


def check_keys(recipe: Mapping[str, Any], overlay: Mapping[str, Any], where: str, prefix: str = "") -> None:
    """Raise UserError for the first key of `overlay` that is not valid in `recipe`, naming the nearest valid one."""
    for key, value in overlay.items():
        path = f"{prefix}{key}"
        valid = set(recipe)
        if key not in valid and prefix.rstrip(".") in TRL_STAGES:
            valid |= trl_options(prefix.rstrip("."))
        if key not in valid:
            raise unknown("key", path, {f"{prefix}{name}" for name in valid}, where)
        below = recipe.get(key)
        if isinstance(below, dict) and path not in FREE_FORM:
            if not isinstance(value, Mapping):
                raise UserError(f"{where}: {path} is a section with the keys {', '.join(below)}; found {value!r}")
            check_keys(below, value, where, f"{path}.")


def trl_options(stage: str) -> set[str]:
    """Return every option of `trl <stage>`, and those of its launcher."""
    import importlib

    parser = importlib.import_module(f"trl.scripts.{stage}").make_parser()
    return {action.dest for action in parser._actions} | {"env", "accelerate_config", "num_processes"}


def parse_override(override: str) -> dict[str, Any]:
    """Return `a.b=value` as a nested mapping; the value is read as YAML.

    Raises UserError for what cannot be read, and for a key that says which runs there are.
    """
    path, separator, _ = override.partition("=")
    if not separator or not path:
        raise UserError(f"override {override!r}: expected section.key=value, such as pretrain.max_steps=50")
    if path in GRID_KEYS:
        raise UserError(f"override {override!r}: an override cannot set {path}; say make {GRID_KEYS[path]}=... instead")
    try:
        return container(OmegaConf.from_dotlist([override]))
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise UserError(f"override {override!r}: the value is not YAML: {error}") from error


def recipe_path(stages: Mapping[str, Mapping[str, Any]], stage: str) -> Path:
    """Return where the flat recipe of `stage` lies: `recipes/` beside the outputs of its level."""
    if stage in (*SHARED_STAGES, "compare"):
        level = Path(stages["corpus"]["output_dir"]).parent
    elif stage == "halves":
        level = Path(stages["halves"]["output_dir"]).parent
    elif stage in CONDITION_STAGES:
        level = Path(stages["tokenizer"]["output_dir"]).parent
    else:
        level = Path(stages["pretrain"]["output_dir"]).parent
    return recipe_file(level, stage)


def write_if_changed(path: Path, recipe: Mapping[str, Any]) -> bool:
    """Write one flat recipe; leave the file, and its time stamp, alone when it already says the same."""
    text = yaml.safe_dump(dict(recipe), sort_keys=False, allow_unicode=True)
    if path.is_file() and path.read_text() == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".partial")
    temporary.write_text(text)
    temporary.replace(path)
    return True


def changed_keys(old: Any, new: Any, key: str = "") -> list[str]:
    """Return the keys, with those of their sections before them, whose values differ between two flat recipes."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [key]
    below = [changed_keys(old.get(name), new.get(name), f"{key}.{name}".strip(".")) for name in {**old, **new}]
    return [changed for keys in below for changed in keys]


def write_and_tell(path: Path, recipe: Mapping[str, Any]) -> None:
    """Write one flat recipe, and print what it changes in one that was there."""
    old = load_yaml(path) if path.is_file() else None
    if write_if_changed(path, recipe):
        print(f"wrote {path}" if old is None else f"rewrote {path}: changed {', '.join(changed_keys(old, recipe))}")


def check_comparison(compare: Mapping[str, Any]) -> None:
    """Raise UserError for an experiment that evals/compare.py would refuse when all its runs are finished."""
    from mulfact.evals.compare_arguments import CompareArguments, check_arguments

    check_arguments(CompareArguments(**compare))


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Compose the recipes of an experiment into flat YAML files.")
    parser.add_argument(
        "--recipes", type=Path, default=Path("recipes"), help="the folder with base.yaml, scales/ and arms/"
    )
    parser.add_argument("--scale", required=True, help="a file of scales/, such as smoke")
    parser.add_argument(
        "--conditions", nargs="*", action=Conditions, required=True, help="files of arms/, such as baseline mulfact"
    )
    parser.add_argument("--seeds", nargs="*", action=Seeds, default=[0])
    parser.add_argument("--experiment", action="store_true", help="also write the recipe that compares these runs")
    parser.add_argument(
        "--halves", nargs="*", action=Pairs, metavar="PAIRS", help="instead: so many pairs that halve the one condition"
    )
    parser.add_argument("--set", nargs="*", default=[], metavar="SECTION.KEY=VALUE", help="override single settings")
    arguments = parser.parse_args()

    grid = {"compare": {"conditions": arguments.conditions, "seeds": arguments.seeds}} if arguments.experiment else {}
    chosen = [(condition, seed) for condition in arguments.conditions for seed in arguments.seeds]
    if arguments.halves:
        (arm,) = arguments.conditions
        grid, chosen = {"halves": {"arm": arm, "pairs": arguments.halves}}, runs_of(arm, arguments.halves)
    runs = [compose(arguments.recipes, arguments.scale, *run, arguments.set, grid) for run in chosen]
    sizes = {Path(run["tokenizer"]["output_dir"]).parent.name: run["tokenizer"]["vocab_size"] for run in runs}
    if len(set(sizes.values())) > 1:
        raise UserError(f"tokenizer.vocab_size differs between arms: {sizes}; it must be the same")
    compare = runs[0]["compare"]
    if arguments.experiment:
        check_comparison(compare)
    with experiment_lock(Path(compare["shared_dir"])) if grid else nullcontext():
        for stages in runs:
            for stage in (*SHARED_STAGES, *CONDITION_STAGES, *RUN_STAGES, *grid):
                write_and_tell(recipe_path(stages, stage), stages[stage])


if __name__ == "__main__":
    main()
