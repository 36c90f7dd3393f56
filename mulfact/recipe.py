"""Compose recipes: base + scale + arm + seed + overrides, resolved into one flat YAML per stage beside its output.

    python -m mulfact.recipe --scale smoke --conditions baseline mulfact --seeds 0
    python -m mulfact.recipe --scale smoke --conditions mulfact --seeds 1 --set pretrain.max_steps=50

A file is written only when its content changes, so that `make` runs again exactly the stages whose recipe changed.
"""

import argparse
import dataclasses
import difflib
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mulfact.errors import UserError, command
from mulfact.tokenizers.custom import read_settings
from mulfact.tokenizers.facts import VOCAB_SIZE_MULTIPLE, padded_size

# Where the flat recipe of a stage lies: beside the output it describes.
SHARED_STAGES = ("corpus", "base_tokenizer", "posttrain", "benchmarks")
CONDITION_STAGES = ("tokenizer", "tokens")
RUN_STAGES = ("pretrain", "sft", "readiness", "grpo", "eval", "ledger")

# A section that belongs to a TRL command takes every option of that command, listed in base.yaml or not.
TRL_STAGES = ("sft", "grpo")

# Values that are mappings by themselves: their keys are the user's or are checked by the stage that reads them.
FREE_FORM = ("corpus.sources", "tokenizer.custom_tokens", "sft.env", "grpo.env")

# Keys under which a stage writes. Their paths must lie in `outputs`, which only the command line may move.
WRITTEN_PATHS = ("output_dir", "checkpoint_dir", "run_dir", "output")

Arguments = TypeVar("Arguments")


def parse(dataclass: type[Arguments], command_line: Sequence[str] | None = None) -> Arguments:
    """Return a stage's arguments from `--config <flat yaml>` and flags, through TRL's parser.

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
    try:
        (arguments,) = TrlParser([dataclass]).parse_args_and_config(command_line)  # type: ignore[list-item]
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
    recipe = OmegaConf.create(load_yaml(recipes_dir / "base.yaml"))
    for folder, name in (("scales", scale), ("arms", condition)):
        for path, overlay in overlays(recipes_dir / folder, name):
            recipe = merge(recipe, overlay, str(path))
    for override in overrides:
        recipe = merge(recipe, parse_override(override), f"override {override!r}")
    recipe = merge(recipe, {"scale": scale, "condition": condition, "seed": seed, **(grid or {})}, "command line")
    try:
        flat = OmegaConf.to_container(recipe, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(f"recipe {scale}/{condition}: {str(error).splitlines()[0]}") from error
    assert isinstance(flat, dict)
    stages: dict[str, dict[str, Any]] = {
        str(name): section for name, section in flat.items() if isinstance(section, dict)
    }
    check_composed(stages)
    check_written_paths(stages, Path(str(flat["outputs"])))
    return stages


def overlays(folder: Path, name: str, above: tuple[str, ...] = ()) -> list[tuple[Path, dict[str, Any]]]:
    """Return the overlay `name` of a folder with its file, behind those that it `extends`.

    Raises UserError for a name without a file, for files that extend each other, and for a key that only the command
    line may set.
    """
    path = folder / f"{name}.yaml"
    if not path.is_file() or Path(name).name != name:
        raise unknown(folder.name.removesuffix("s"), name, {p.stem for p in folder.glob("*.yaml")}, str(folder))
    overlay = load_yaml(path)
    if "outputs" in overlay:
        raise UserError(f"{path}: outputs is set on the command line only (make OUTPUTS=...); remove it here")
    base = overlay.pop("extends", None)
    if base in (*above, name):
        raise UserError(f"{path}: extends {base}, which extends {name} in its turn; remove one of the two")
    return [*(overlays(folder, str(base), (*above, name)) if base else []), (path, overlay)]


def merge(recipe: DictConfig, overlay: Mapping[str, Any], where: str) -> DictConfig:
    """Return `recipe` with `overlay` laid over it. Raises UserError for a key that `recipe` does not have."""
    check_keys(_container(recipe), overlay, where)
    merged = OmegaConf.merge(recipe, OmegaConf.create(dict(overlay)))
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


def unknown(kind: str, name: str, valid: Iterable[str], where: str) -> UserError:
    """Return the error for a name that does not exist, with the nearest one that does."""
    valid = sorted(valid)
    nearest = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"valid: {', '.join(valid)}"
    return UserError(f"{where}: unknown {kind} {name!r}; {hint}")


def parse_override(override: str) -> dict[str, Any]:
    """Return `a.b=value` as a nested mapping; the value is read as YAML."""
    path, separator, _ = override.partition("=")
    if not separator or not path:
        raise UserError(f"override {override!r}: expected section.key=value, such as pretrain.max_steps=50")
    try:
        return _container(OmegaConf.from_dotlist([override]))
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise UserError(f"override {override!r}: the value is not YAML: {error}") from error


def load_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file, interpolations kept. Raises UserError if it is missing or not a mapping."""
    if not path.is_file():
        raise UserError(f"{path} does not exist: expected a YAML file")
    try:
        content = OmegaConf.load(path)
    except (yaml.YAMLError, UnicodeDecodeError, OmegaConfBaseException, OSError) as error:
        raise UserError(f"{path} is not a YAML mapping: {error}") from error
    if not isinstance(content, DictConfig):
        raise UserError(f"{path} must hold a mapping of keys to values; found a list")
    return _container(content)


def _container(config: DictConfig) -> dict[str, Any]:
    return {str(key): value for key, value in OmegaConf.to_container(config, resolve=False).items()}  # type: ignore[union-attr]


def check_composed(stages: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise UserError for settings that cannot work together, before anything runs."""
    check_vocab_size(stages["tokenizer"], stages["base_tokenizer"])
    pretrain = stages["pretrain"]
    if pretrain["tokens_per_step"] % pretrain["sequence_length"]:
        raise UserError(
            f"pretrain.tokens_per_step is {pretrain['tokens_per_step']}: "
            f"it must be a multiple of pretrain.sequence_length ({pretrain['sequence_length']})"
        )
    for key, length in (
        ("pretrain.sequence_length", pretrain["sequence_length"]),
        ("sft.max_length", stages["sft"]["max_length"]),
        ("grpo.max_completion_length", stages["grpo"]["max_completion_length"]),
    ):
        if length > pretrain["n_positions"]:
            raise UserError(f"{key} is {length}: it must not exceed pretrain.n_positions ({pretrain['n_positions']})")


def check_vocab_size(tokenizer: Mapping[str, Any], base: Mapping[str, Any]) -> None:
    """Raise UserError for an arm that cannot be built, or whose tokens do not fit the embedding that all arms share.

    The size of a vocabulary that is loaded is known only later, when the tokenizer is built.
    """
    settings, vocab_size = read_settings(tokenizer), tokenizer["vocab_size"]
    if vocab_size % VOCAB_SIZE_MULTIPLE:
        raise UserError(
            f"tokenizer.vocab_size is {vocab_size}: it must be a multiple of {VOCAB_SIZE_MULTIPLE}, for every arm alike"
        )
    needed = base["vocab_size"] + settings.token_count
    if base["source"] == "train" and needed > vocab_size:
        raise UserError(
            f"tokenizer.vocab_size is {vocab_size}, but base_tokenizer.vocab_size is {base['vocab_size']} and this arm "
            f"adds {settings.token_count} tokens: set it to at least {padded_size(needed)} for every arm"
        )


def check_written_paths(stages: Mapping[str, Mapping[str, Any]], outputs: Path) -> None:
    """Raise UserError when a stage would write outside the folder `outputs`, links and ".." followed."""
    root = outputs.resolve()
    for stage, section in stages.items():
        for key in WRITTEN_PATHS:
            path = section.get(key)
            if path is not None and root not in Path(str(path)).resolve().parents:
                raise UserError(
                    f"{stage}.{key} is {path}: a recipe writes inside {outputs} only; use a path below it, or move all "
                    "outputs with make OUTPUTS=..."
                )


def recipe_path(stages: Mapping[str, Mapping[str, Any]], stage: str) -> Path:
    """Return where the flat recipe of `stage` lies: `recipes/` beside the outputs of its level."""
    if stage in (*SHARED_STAGES, "compare"):
        level = Path(stages["corpus"]["output_dir"]).parent
    elif stage in CONDITION_STAGES:
        level = Path(stages["tokenizer"]["output_dir"]).parent
    else:
        level = Path(stages["pretrain"]["output_dir"]).parent
    return level / "recipes" / f"{stage}.yaml"


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


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Compose the recipes of an experiment into flat YAML files.")
    parser.add_argument(
        "--recipes", type=Path, default=Path("recipes"), help="the folder with base.yaml, scales/ and arms/"
    )
    parser.add_argument("--scale", required=True, help="a file of scales/, such as smoke")
    parser.add_argument("--conditions", nargs="+", required=True, help="files of arms/, such as baseline mulfact")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--experiment", action="store_true", help="also write the recipe that compares these runs")
    parser.add_argument("--set", nargs="*", default=[], metavar="SECTION.KEY=VALUE", help="override single settings")
    arguments = parser.parse_args()

    grid = {"compare": {"conditions": arguments.conditions, "seeds": arguments.seeds}} if arguments.experiment else {}
    written = [*SHARED_STAGES, *CONDITION_STAGES, *RUN_STAGES, *(["compare"] if arguments.experiment else [])]
    vocab_sizes: dict[int, str] = {}
    for condition in arguments.conditions:
        for seed in arguments.seeds:
            stages = compose(arguments.recipes, arguments.scale, condition, seed, arguments.set, grid)
            vocab_sizes.setdefault(stages["tokenizer"]["vocab_size"], condition)
            if len(vocab_sizes) > 1:
                raise UserError(f"tokenizer.vocab_size differs between arms: {vocab_sizes}; it must be the same")
            for stage in written:
                path = recipe_path(stages, stage)
                if write_if_changed(path, stages[stage]):
                    print(f"wrote {path}")


if __name__ == "__main__":
    main()
