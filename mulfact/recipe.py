"""Compose recipes: base + scale + arm + seed + overrides, resolved into one flat YAML per stage beside its output.

    stages = compose(Path("recipes"), "smoke", "mulfact", seed=0, overrides=["pretrain.max_steps=50"])
    write_and_tell(recipe_path(stages, "pretrain"), stages["pretrain"])

mulfact/experiment/prepare.py is the command. A file is written only when its content changes.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mulfact.errors import UserError, unknown
from mulfact.finished import changed_keys
from mulfact.halves import half_overlay
from mulfact.layout import CONDITION_STAGES, SHARED_STAGES, check_name, recipe_file
from mulfact.recipe_checks import check_composed, check_written_paths
from mulfact.recipe_types import NULLABLE, fit
from mulfact.settings import container, load_yaml
from mulfact.trl_options import options_of

# A section that belongs to a TRL command takes every option of that command, listed in base.yaml or not.
TRL_STAGES = ("sft", "grpo")

# Values that are mappings by themselves: their keys are the user's or are checked by the stage that reads them.
FREE_FORM = (
    "corpus.sources",
    "tokenizer.custom_tokens",
    "sft.env",
    "grpo.env",
    "compare.attribution",
    "compare.controls",
)

# What base.yaml fills in with a stage's folder or the run's seed, where make and the other stages look for them; a name
# in a log is nobody's place.
WIRED = re.compile(r"\$\{((\w+\.)?\w+_dir|outputs|(?P<seed>seed))\}")
NAMES = ("sft.run_name", "grpo.run_name")

# Settings of the section tokenizer that are no arm's own, and those that change nothing in an arm of such a mode.
SHARED_KEYS = ("model_max_length",)
FACTS_ALONE = ("operation", "max_operand", "canonical_order", "token_names", "surface_forms")
IDLE = {"none": FACTS_ALONE, "custom": FACTS_ALONE, "placebo": ("token_names", "custom_tokens")}

# Keys that only the command line may set, and the variable of make that does.
RUN_KEYS = {"scale": "SCALE", "condition": "CONDITION", "seed": "SEED"}
COMMAND_LINE = {**RUN_KEYS, "outputs": "OUTPUTS"}
# Keys that overrides would set in vain.
GRID_KEYS = {
    **COMMAND_LINE, "compare.conditions": "CONDITIONS", "compare.controls": "CONTROLS",
    "compare.seeds": "SEEDS", "halves.arm": "CONDITION",
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
    grid = grid or {}
    return resolve_run(*merge_overlays(recipes_dir, scale, condition, overrides, grid), scale, condition, seed, grid)


def merge_overlays(
    recipes_dir: Path, scale: str, condition: str, overrides: Iterable[str], grid: Mapping[str, Any]
) -> tuple[DictConfig, dict[str, Any]]:
    """Return the recipe of an arm at a scale, for any seed, and base.yaml filled in, whose kinds of values hold."""
    base = OmegaConf.create(load_yaml(recipes_dir / "base.yaml"))
    run = {"scale": scale, "condition": condition, "seed": 0, **grid}
    known = resolved(merge(base, run, "command line"), f"recipe {recipes_dir / 'base.yaml'}")
    recipe = base
    control = read_control(recipes_dir, condition)
    arm = control["arm"] if control else condition
    for folder, name in (("scales", scale), ("arms", arm)):
        for path, overlay in overlays(recipes_dir / folder, name):
            recipe = merge(recipe, overlay, str(path), known)
    check_idle(overlay.get("tokenizer", {}), recipe.tokenizer.mode, path)  # of the last one, the arm itself
    if control:
        recipe = merge(recipe, {"pretrain": control["pretrain"]}, f"control {condition}", known)
    for override in overrides:
        recipe = merge(recipe, parse_override(override), f"override {override!r}", known)
    return recipe, known


def resolve_run(
    recipe: DictConfig, known: dict[str, Any], scale: str, condition: str, seed: int, grid: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return the flat recipe of every stage of one run of an arm, checked."""
    where = f"recipe {scale}/{condition}"
    run = {"scale": scale, "condition": condition, "seed": seed, **grid}
    flat = fit(known, resolved(merge(recipe, run, "command line"), where), where)
    stages: dict[str, dict[str, Any]] = {name: section for name, section in flat.items() if isinstance(section, dict)}
    check_composed(stages)
    check_written_paths(stages, Path(flat["outputs"]))
    return stages


def read_control(recipes_dir: Path, name: str) -> dict[str, Any] | None:
    """Return what a file of controls/ declares: `arm`, settings of `pretrain`, and what `differs` in the ledger then.

    None for the name of an arm. Raises UserError for a file that says anything else.
    """
    path = recipes_dir / "controls" / f"{name}.yaml"
    if not path.is_file() or Path(name).name != name:
        return None
    declared = load_yaml(path)
    kinds = {"arm": str, "pretrain": dict, "differs": list}
    if {key: type(value) for key, value in declared.items()} != kinds:
        raise UserError(
            f"{path}: a declared control says `arm`, the settings of `pretrain` that are other than the arm's, and a "
            f"list `differs` of the ledger's fields that follow; found {', '.join(declared)}"
        )
    if (recipes_dir / "arms" / f"{name}.yaml").is_file():
        raise UserError(f"{path}: {name} is the name of an arm as well; rename the control")
    return declared


def controls_named(recipes_dir: Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what each control declares. Raises UserError for a name without a file."""
    found = {name: read_control(recipes_dir, name) for name in names}
    known = {path.stem for path in (recipes_dir / "controls").glob("*.yaml")}
    for name, declared in found.items():
        if declared is None:
            raise unknown("control", name, known, str(recipes_dir / "controls"))
    return {name: declared for name, declared in found.items() if declared}


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
    check_name(folder.name.removesuffix("s"), name)
    path = folder / f"{name}.yaml"
    half = half_overlay(name) if folder.name == "arms" else None
    if half is None and (not path.is_file() or Path(name).name != name):
        raise unknown(folder.name.removesuffix("s"), name, {p.stem for p in folder.glob("*.yaml")}, str(folder))
    if half and path.is_file():
        raise UserError(f"{path}: {name} is the name of a half of an arm, which make halves makes; rename the file")
    overlay = half or load_yaml(path)
    for key, variable in COMMAND_LINE.items():
        if key in overlay:
            raise UserError(f"{path}: {key} is set on the command line only (make {variable}=...); remove it here")
    base = overlay.pop("extends", None)
    if folder.name == "arms" and not base and not overlay.get("tokenizer"):
        raise UserError(f"{path} sets nothing: an arm says in its section tokenizer what it is, also mode: none")
    own = overlay.get("tokenizer")
    shared = {f"tokenizer.{key}" for key in SHARED_KEYS if isinstance(own, dict) and key in own}
    if folder.name == "arms" and (others := overlay.keys() - {"tokenizer"} | shared):
        raise UserError(
            f"{path}: {', '.join(sorted(others))} must not be set by an arm: arms differ in the section tokenizer "
            "alone, or they could not be compared; set it for all arms, in recipes/scales/ or with OVERRIDES="
        )
    if base in (*above, name):
        raise UserError(f"{path}: extends {base}, which extends {name} in its turn; remove one of the two")
    return [*(overlays(folder, str(base), (*above, name)) if base else []), (path, overlay)]


def check_idle(arm: Mapping[str, Any], mode: str, path: Path) -> None:
    """Raise UserError for a setting that an arm makes in vain: the arm would be another than its file says."""
    if idle := [key for key in arm if key in IDLE.get(mode, ())]:
        raise UserError(
            f"{path}: tokenizer.{idle[0]} changes nothing while tokenizer.mode is {mode}; leave it out, or set the mode"
        )


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
    """Raise UserError for the first key of `overlay` that `recipe` lacks, naming the nearest one, or that is wired."""
    for key, value in overlay.items():
        path = f"{prefix}{key}"
        valid = set(recipe)
        if key not in valid and prefix.rstrip(".") in TRL_STAGES:
            valid |= set(options_of(prefix.rstrip(".")))
        if key not in valid:
            raise unknown("key", path, {f"{prefix}{name}" for name in valid}, where)
        below = recipe.get(key)
        wired = WIRED.search(below) if isinstance(below, str) and path not in NAMES else None
        if wired and value != below and not (value is None and path in NULLABLE):
            variable = "SEED" if wired["seed"] else "OUTPUTS"
            raise UserError(
                f"{where}: {path} cannot be set: make and the other stages go by {below}; leave it out, and say "
                f"make {variable}=... to have another"
            )
        if isinstance(below, dict) and path not in FREE_FORM:
            if not isinstance(value, Mapping):
                raise UserError(f"{where}: {path} is a section with the keys {', '.join(below)}; found {value!r}")
            check_keys(below, value, where, f"{path}.")


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
        raise UserError(f"override {override!r}: the value is not YAML: {' '.join(str(error).split())}") from error


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
    text = yaml.dump(dict(recipe), Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".partial")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    return True


def write_and_tell(path: Path, recipe: Mapping[str, Any]) -> None:
    """Write one flat recipe, and print what it changes in one that was there."""
    old = load_yaml(path) if path.is_file() else None
    if write_if_changed(path, recipe):
        print(f"wrote {path}" if old is None else f"rewrote {path}: changed {', '.join(changed_keys(old, recipe))}")


def compose_runs(
    recipes_dir: Path,
    scale: str,
    runs: Iterable[tuple[str, int]],
    overrides: Iterable[str] = (),
    grid: Mapping[str, Any] | None = None,
) -> list[dict[str, dict[str, Any]]]:
    """Return the flat recipes of every run, a condition and a seed.

    Raises UserError as `compose`, and for arms that differ in the size of their vocabulary.
    """
    overrides, grid, runs = list(overrides), grid or {}, list(runs)
    conditions = dict.fromkeys(condition for condition, _ in runs)
    arms = {arm: merge_overlays(recipes_dir, scale, arm, overrides, grid) for arm in conditions}
    composed = [resolve_run(*arms[condition], scale, condition, seed, grid) for condition, seed in runs]
    sizes = {Path(run["tokenizer"]["output_dir"]).parent.name: run["tokenizer"]["vocab_size"] for run in composed}
    if len(set(sizes.values())) > 1:
        raise UserError(f"tokenizer.vocab_size differs between arms: {sizes}; it must be the same")
    return composed


def check_comparison(recipes_dir: Path, compare: Mapping[str, Any]) -> None:
    """Raise UserError for an experiment that evals/compare.py would refuse when all its runs are finished.

    A treatment that is not among its arms gives way to another one; one that is no arm at all is a mistake.
    """
    from mulfact.evals.compare_arguments import CompareArguments, check_arguments

    check_arguments(CompareArguments(**compare))
    for key, names in (("treatment", [compare["treatment"]]), ("attribution", compare["attribution"])):
        for name in names:
            try:
                overlays(recipes_dir / "arms", name)
            except UserError as error:
                raise UserError(f"compare.{key}: {error}") from error
