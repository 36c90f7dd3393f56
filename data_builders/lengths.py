"""Count lengths in the arm's own tokens before any training, and refuse what TRL would cut in silence.

    python data_builders/lengths.py --config outputs/smoke/mulfact/recipes/lengths.yaml

For `trl sft`: prompt + completion + end-of-text against `max_length`; a longer row would lose its end, and the model
would never learn to stop. For `trl grpo`: prompt + `max_completion_length` against the model's positions; one more is a
bare IndexError in the middle of training. Gold solutions that `max_completion_length` has no room for are counted too:
an arm that says the same in fewer tokens has fewer of them. `trl_stage.py prepare` counts again what TRL then reads.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from mulfact.data_builders.storage.rows import read_jsonl
from mulfact.errors import UserError, command
from mulfact.provenance import stage_output, write_json
from mulfact.settings import parse
from mulfact.text_files import read_json

QUANTILES = (0.5, 0.9, 0.99, 1.0)
TRUNCATED_VARIABLE = "MULFACT_MAX_TRUNCATED"  # in the env of the sft recipe: TRL takes no option that it does not know
AGAIN = "run the stage that writes it again"
NOTABLE = 0.03  # share of gold solutions over a budget from which on there is a warning


@dataclass
class LengthsArguments:
    output_dir: str = field(metadata={"help": "Folder that receives lengths.json."})
    tokenizer: str = field(metadata={"help": "Folder of the arm's tokenizer."})
    n_positions: int = field(metadata={"help": "Positions of the model that will be trained."})
    sft: dict[str, Any] = field(metadata={"help": "What the recipe of `trl sft` says about its rows."})
    grpo: dict[str, Any] = field(metadata={"help": "What the recipe of `trl grpo` says about its prompts."})
    max_truncated: float = field(metadata={"help": "Share of SFT rows that may lose their end."})

    def __post_init__(self) -> None:
        if not 0 <= self.max_truncated <= 1:
            raise UserError(f"lengths.max_truncated is {self.max_truncated}: expected a share between 0 and 1")


@dataclass(frozen=True)
class Lengths:
    """Lengths of the rows of one split, in tokens of the arm."""

    rows: int
    limit: int
    too_long: int  # rows over the limit
    merged: int  # rows in which a token reaches over the end of the prompt, so that generation sees another context
    prompt_tokens: int
    label_tokens: int  # of the completions with their end-of-text, before any cut; 0 for GRPO
    quantiles: dict[str, int]  # of what is held against the limit
    # Of GRPO, by source of the problem: the share of gold solutions that are longer than a completion may be.
    over_budget: dict[str, float] = field(default_factory=dict)


@command
def main() -> None:
    arguments = parse(LengthsArguments)
    recipes = {"sft": arguments.sft, "grpo": arguments.grpo}
    folders = dict.fromkeys(Path(recipe["dataset_name"]).parent for recipe in recipes.values())
    inputs = [Path(arguments.tokenizer), *folders]
    with stage_output(arguments.output_dir, arguments, inputs) as folder:
        counts = {
            stage: count_lengths({**recipe, "model_name_or_path": arguments.tokenizer}, arguments.n_positions)
            for stage, recipe in recipes.items()
        }
        write_json(folder / "lengths.json", counts)
        for stage, recipe in recipes.items():
            show(counts[stage], recipe)
        for count in counts.values():
            check_lengths(count, arguments.max_truncated)


def show(counts: dict[str, Any], recipe: dict[str, Any]) -> None:
    """Print what was counted, and a warning where many gold solutions do not fit a completion."""
    for name, lengths in counts["splits"].items():
        print(
            f"{counts['stage']} {name}: {lengths['rows']} rows, median {lengths['quantiles']['0.5']}, longest "
            f"{lengths['quantiles']['1.0']} of {lengths['limit']} tokens, {lengths['too_long']} too long"
        )
        if any(share > NOTABLE for share in lengths["over_budget"].values()):
            shares = ", ".join(f"{share:.1%} of {source}" for source, share in lengths["over_budget"].items())
            print(
                f"warning: {counts['stage']} {name}: the gold solution needs more tokens than max_completion_length "
                f"({recipe['max_completion_length']}) in {shares}: arms may differ there by what they compress alone. "
                "That is no error: these prompts are asked, and only a shorter solution earns the reward. If it is not "
                "meant, raise grpo.max_completion_length or lower posttrain.grpo_max_steps"
            )


def measure_lengths(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return the lengths of a flat SFT or GRPO recipe, {"stage", "model", "splits": {name: Lengths as a dict}}.

    Raises UserError when the model or the rows are missing, and when training on these rows would go wrong.
    """
    counts = count_lengths(recipe, model_positions(Path(required(recipe, "model_name_or_path"))))
    check_lengths(counts, float(recipe.get("env", {}).get(TRUNCATED_VARIABLE, 0.0)))
    return counts


def count_lengths(recipe: dict[str, Any], positions: int) -> dict[str, Any]:
    """Return what `measure_lengths` does for a model of so many positions, without judging it."""
    stage = "grpo" if "max_completion_length" in recipe else "sft"
    model = Path(required(recipe, "model_name_or_path"))
    tokenizer = load_tokenizer(model)
    columns = ("prompt",) if stage == "grpo" else ("prompt", "completion")
    splits = {}
    for name, path in data_files(recipe).items():
        rows = [row for _, row in read_jsonl(path)]
        if not all(isinstance(row.get(column), str) for row in rows for column in columns):
            raise UserError(f"{path}: rows without the text columns {' and '.join(columns)}; build the set again")
        if stage == "grpo":
            lengths = grpo_lengths(rows, tokenizer, positions, recipe["max_completion_length"])
        else:
            limit = min(recipe.get("max_length") or positions, positions)
            lengths = sft_lengths(rows, tokenizer, limit, end_of_text(model))
        splits[name] = asdict(lengths)
    return {"stage": stage, "model": str(model), "splits": splits}


def check_lengths(counts: dict[str, Any], max_truncated: float) -> None:
    """Raise UserError for a split with too many long rows, or with tokens that reach over the end of a prompt.

    `max_truncated` is a share of SFT rows. GRPO cuts nothing: it fails at the first prompt that is too long.
    """
    stage, model = counts["stage"], counts["model"]
    allowed = max_truncated if stage == "sft" else 0.0
    for name, lengths in counts["splits"].items():
        rows, too_long, merged = lengths["rows"], lengths["too_long"], lengths["merged"]
        if too_long / rows > allowed:
            setting = "pretrain.n_positions" if stage == "grpo" else "sft.max_length or lengths.max_truncated"
            raise UserError(
                f"{stage}: {too_long} of {rows} {name} rows ({too_long / rows:.2%}) need more than {lengths['limit']} "
                f"tokens of {model}, the longest {lengths['quantiles']['1.0']}; raise {setting}, or set "
                "posttrain.max_characters"
            )
        if merged:
            raise UserError(
                f"{stage}: in {merged} of {rows} {name} rows a token of {model} reaches over the end of the prompt; "
                "prompts must not end in white space, and completions must begin with a space"
            )


def load_tokenizer(model: Path) -> Tokenizer:
    """Return the tokenizer of a model folder. Raises UserError when there is none."""
    path = model / "tokenizer.json"
    if not path.is_file():
        raise UserError(f"{path} does not exist: run the stage that writes {model}, or correct model_name_or_path")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more specific
        raise UserError(f"{path} is not a tokenizer ({error}); run the stage that writes it again") from error


def model_positions(model: Path) -> int:
    """Return how many positions the model has. Raises UserError when its config does not say."""
    config = read_json(model / "config.json", AGAIN)
    positions = config.get("n_positions", config.get("max_position_embeddings"))
    if not isinstance(positions, int):
        raise UserError(f"{model / 'config.json'} has no n_positions: expected the config of a causal language model")
    return positions


def end_of_text(model: Path) -> str:
    """Return the token that TRL appends to each completion. Raises UserError when the tokenizer names none."""
    token = read_json(model / "tokenizer_config.json", AGAIN).get("eos_token")
    token = token.get("content") if isinstance(token, dict) else token
    if not isinstance(token, str):
        raise UserError(f"{model / 'tokenizer_config.json'} names no eos_token; build the tokenizer again")
    return token


def data_files(recipe: dict[str, Any]) -> dict[str, Path]:
    """Return the JSON-lines file of each split that the recipe names."""
    folder = Path(required(recipe, "dataset_name"))
    names = [recipe.get("dataset_train_split", "train"), recipe.get("dataset_test_split", "test")]
    return {
        name: folder / f"{name}.jsonl" for name in names if name == names[0] or (folder / f"{name}.jsonl").is_file()
    }


def required(recipe: dict[str, Any], key: str) -> str:
    if key not in recipe:
        raise UserError(f"the recipe has no {key}: expected the flat recipe of `trl sft` or `trl grpo`")
    return recipe[key]


def sft_lengths(rows: Sequence[dict[str, Any]], tokenizer: Tokenizer, limit: int, eos: str) -> Lengths:
    """Return the lengths of prompt + completion + end-of-text, encoded as one text as TRL does."""
    prompts = encode(tokenizer, [row["prompt"] for row in rows])
    whole = encode(tokenizer, [row["prompt"] + row["completion"] + eos for row in rows])
    return Lengths(
        rows=len(rows),
        limit=limit,
        too_long=sum(len(ids) > limit for ids in whole),
        merged=sum(ids[: len(prompt)] != prompt for prompt, ids in zip(prompts, whole, strict=True)),
        prompt_tokens=sum(map(len, prompts)),
        label_tokens=sum(map(len, whole)) - sum(map(len, prompts)),
        quantiles=quantiles([len(ids) for ids in whole]),
    )


def grpo_lengths(rows: Sequence[dict[str, Any]], tokenizer: Tokenizer, positions: int, completion: int) -> Lengths:
    """Return the lengths of prompt + the longest completion that may be sampled."""
    lengths = [len(ids) for ids in encode(tokenizer, [row["prompt"] for row in rows])]
    whole = [len(ids) for ids in encode(tokenizer, [row["prompt"] + row.get("completion", "") for row in rows])]
    solved = Counter(row.get("source", "all") for row in rows if "completion" in row)
    over = Counter(
        row.get("source", "all")
        for row, prompt, both in zip(rows, lengths, whole, strict=True)
        if both - prompt > completion
    )
    return Lengths(
        rows=len(rows),
        limit=positions,
        too_long=sum(length + completion > positions for length in lengths),
        merged=0,
        prompt_tokens=sum(lengths),
        label_tokens=0,
        quantiles=quantiles([length + completion for length in lengths]),
        over_budget={source: over[source] / count for source, count in sorted(solved.items())},
    )


def encode(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]


def quantiles(lengths: list[int]) -> dict[str, int]:
    ordered = sorted(lengths)
    return {str(q): ordered[min(int(q * len(ordered)), len(ordered) - 1)] for q in QUANTILES}


if __name__ == "__main__":
    main()
