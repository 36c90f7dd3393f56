"""Lengths are counted as TRL will see them, and what it would cut in silence is refused."""

import json
import subprocess
import sys
from dataclasses import fields

import pytest
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from mulfact.data_builders.lengths import LengthsArguments, count_lengths, measure_lengths
from mulfact.errors import UserError
from mulfact.recipe import compose

ROWS = [
    {"prompt": "Question: What is 6*9?\nAnswer:", "completion": " #### 54"},
    {"prompt": "Question: How many?\nSolution:", "completion": " 6*9=<<6*9=54>>54\n#### 54"},
]


@pytest.fixture
def model(tmp_path):
    """A model folder with a byte-level tokenizer without merges: a token is a byte."""
    folder = tmp_path / "model"
    folder.mkdir()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=258,
        special_tokens=["<|endoftext|>", "<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|endoftext|>"}))
    (folder / "config.json").write_text(json.dumps({"n_positions": 64}))
    return folder


@pytest.fixture
def recipe(tmp_path, model):
    folder = tmp_path / "sft"
    folder.mkdir()
    for name in ("train", "validation"):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return {
        "model_name_or_path": str(model),
        "dataset_name": str(folder),
        "dataset_train_split": "train",
        "dataset_test_split": "validation",
        "max_length": 64,
    }


def test_sft_counts_prompt_completion_and_end_of_text(recipe):
    counts = measure_lengths(recipe)
    lengths = [len(row["prompt"] + row["completion"]) + 1 for row in ROWS]
    train = counts["splits"]["train"]
    assert counts["splits"]["validation"] == train
    assert train["rows"] == 2
    assert train["quantiles"]["1.0"] == max(lengths)
    assert train["prompt_tokens"] == sum(len(row["prompt"]) for row in ROWS)
    assert train["label_tokens"] == sum(len(row["completion"]) + 1 for row in ROWS)
    assert train["too_long"] == train["merged"] == 0


def test_exactly_the_limit_fits_and_one_less_does_not(recipe):
    longest = max(len(row["prompt"] + row["completion"]) + 1 for row in ROWS)
    measure_lengths({**recipe, "max_length": longest})
    with pytest.raises(UserError, match=rf"1 of 2 train rows \(50.00%\) need more than {longest - 1} tokens"):
        measure_lengths({**recipe, "max_length": longest - 1})


def test_the_window_of_the_model_limits_sft_too(recipe, model):
    (model / "config.json").write_text(json.dumps({"n_positions": 40}))
    with pytest.raises(UserError, match="more than 40 tokens"):
        measure_lengths({**recipe, "max_length": 64})


def test_grpo_leaves_room_for_the_completion(recipe):
    longest = max(len(row["prompt"]) for row in ROWS)
    counts = measure_lengths({**recipe, "max_completion_length": 64 - longest})
    assert counts["stage"] == "grpo"
    assert counts["splits"]["train"]["quantiles"]["1.0"] == 64
    with pytest.raises(UserError, match=r"grpo: \d of 2 train rows .* raise pretrain.n_positions"):
        measure_lengths({**recipe, "max_completion_length": 65 - longest})


def test_a_token_across_the_end_of_the_prompt_is_refused(recipe, model, tmp_path):
    """TRL would train on another context than generation sees."""
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    merged = json.loads(tokenizer.to_str())
    merged["model"]["vocab"]["ab"] = 258
    merged["model"]["merges"] = [["a", "b"]]
    (model / "tokenizer.json").write_text(json.dumps(merged))
    (tmp_path / "sft" / "train.jsonl").write_text(json.dumps({"prompt": "xa", "completion": "b"}) + "\n")
    with pytest.raises(UserError, match="in 1 of 1 train rows a token"):
        measure_lengths(recipe)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda model, recipe: (model / "tokenizer.json").unlink(), r"tokenizer.json does not exist"),
        (lambda model, recipe: (model / "tokenizer.json").write_text("{"), r"is not a tokenizer"),
        (lambda model, recipe: (model / "config.json").write_text("{"), r"config.json cannot be read"),
        (lambda model, recipe: (model / "config.json").write_text("{}"), r"no n_positions"),
        (lambda model, recipe: (model / "tokenizer_config.json").write_text("{}"), r"names no eos_token"),
        (lambda model, recipe: recipe.pop("dataset_name"), r"has no dataset_name"),
        (lambda model, recipe: recipe.update(dataset_name="nowhere"), r"nowhere/train.jsonl does not exist"),
        (lambda model, recipe: recipe.update(max_completion_length=1, dataset_train_split="x"), r"x.jsonl does not"),
    ],
)
def test_bad_input_is_named(recipe, model, spoil, message):
    spoil(model, recipe)
    with pytest.raises(UserError, match=message):
        measure_lengths(recipe)


def test_rows_of_another_form_are_refused(recipe, tmp_path):
    (tmp_path / "sft" / "train.jsonl").write_text('{"text": "6*9=54"}\n')
    with pytest.raises(UserError, match=r"train.jsonl: rows without the text columns prompt and completion"):
        measure_lengths(recipe)


def test_the_recipe_says_how_many_rows_may_be_cut(recipe):
    counts = measure_lengths({**recipe, "max_length": 50, "env": {"MULFACT_MAX_TRUNCATED": 0.5}})
    assert counts["splits"]["train"]["too_long"] == 1
    with pytest.raises(UserError, match="raise sft.max_length or lengths.max_truncated"):
        measure_lengths({**recipe, "max_length": 50, "env": {"MULFACT_MAX_TRUNCATED": 0.4}})
    with pytest.raises(UserError, match="raise pretrain.n_positions"):  # GRPO would fail at such a prompt
        measure_lengths({**recipe, "max_completion_length": 60, "env": {"MULFACT_MAX_TRUNCATED": 1.0}})


def test_gold_solutions_over_the_budget_are_counted_by_source(recipe, tmp_path):
    rows = [{**ROWS[0], "source": "gsm8k"}, {**ROWS[1], "source": "gsm8k"}, {**ROWS[0], "source": "synthetic"}]
    (tmp_path / "sft" / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "sft" / "validation.jsonl").write_text(json.dumps({"prompt": "Question:"}) + "\n")
    longest = len(ROWS[1]["completion"])
    for budget, share in ((longest, 0.0), (longest - 1, 0.5)):
        splits = count_lengths({**recipe, "max_completion_length": budget}, 128)["splits"]
        assert splits["train"]["over_budget"] == {"gsm8k": share, "synthetic": 0.0}
        assert splits["validation"]["over_budget"] == {}  # a set without gold completions claims nothing


@pytest.fixture
def command(recipe, tmp_path, repository):
    """Call the stage with changes to its recipe; return what it printed, and its output folder."""
    for folder in (tmp_path / "model", tmp_path):
        (folder / "provenance.json").write_text('{"outputs": {}}')
    rows = {key: recipe[key] for key in ("dataset_name", "dataset_train_split", "dataset_test_split")}
    section = {
        "output_dir": str(tmp_path / "lengths"),
        "tokenizer": recipe["model_name_or_path"],
        "n_positions": 128,
        "sft": {**rows, "max_length": 64},
        "grpo": {**rows, "max_completion_length": 26},
        "max_truncated": 0.0,
    }

    def call(**changes):
        config = tmp_path / "lengths.yaml"
        config.write_text(yaml.safe_dump({**section, **changes}))
        line = [sys.executable, "data_builders/lengths.py", "--config", str(config)]
        return subprocess.run(line, cwd=repository, capture_output=True, text=True), tmp_path / "lengths"

    call.section = section
    return call


def test_the_command(command, repository):
    """It refuses without a traceback and leaves no finished stage; else it keeps the counts of both stages."""
    short = {**command.section["sft"], "max_length": 50}
    refused, folder = command(sft=short)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: sft: 1 of 2 train rows")
    assert not folder.exists()

    accepted, folder = command(sft=short, max_truncated=0.5)
    assert accepted.returncode == 0, accepted.stderr
    assert "sft train: 2 rows" in accepted.stdout
    assert "warning" not in accepted.stdout
    counts = json.loads((folder / "lengths.json").read_text())
    assert counts["sft"]["splits"]["train"]["too_long"] == 1
    assert counts["grpo"]["splits"]["train"]["over_budget"] == {"all": 0.0}

    warned, _ = command(grpo={**command.section["grpo"], "max_completion_length": 20})
    assert warned.returncode == 0
    assert "warning: grpo train: " in warned.stdout
    assert "than max_completion_length (20) in 50.0% of all: arms may differ" in warned.stdout

    refused, _ = command(max_truncated=5)
    assert refused.stderr == "error: lengths.max_truncated is 5: expected a share between 0 and 1\n"


def test_counting_does_not_import_torch(repository):
    code = "import sys, mulfact.data_builders.lengths; print({'torch', 'transformers', 'trl'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True)
    assert run.stdout == "set()\n"


def test_the_arguments_are_the_lengths_section_of_the_recipe(repository):
    section = compose(repository / "recipes", "smoke", "baseline", 0)["lengths"]
    assert list(section) == [field.name for field in fields(LengthsArguments)]
