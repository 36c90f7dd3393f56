"""The 2x2 of use: four outcomes an item from one checkpoint, of which only what is not known already is generated."""

import pyarrow.parquet as pq
import pytest
from evaluation_run import BENCHMARKS, FACT, evaluate, write_run

from mulfact.evals.evaluation import use
from mulfact.evals.evaluation.harness import Checkpoint

TASKS = ("gsm8k_cot", "table_9")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_run(folder)
    return folder


@pytest.fixture(scope="module")
def generated():
    """The prompts of every batch that was generated, and whether ids were suppressed, filled by `evaluated`."""
    return []


@pytest.fixture(scope="module")
def evaluated(run, generated):
    with pytest.MonkeyPatch.context() as patch:
        generate = Checkpoint._generate_padded

        def record(self, **given):
            texts = self.tokenizer.batch_decode(given["batch"].input_ids, skip_special_tokens=True)
            suppressed = self.generation_config_dict.get("suppress_tokens")
            generated.extend((text, self.restriction, suppressed) for text in texts)
            return generate(self, **given)

        patch.setattr(Checkpoint, "_generate_padded", record)
        return evaluate(run, patch)


def cells(folder):
    rows = pq.read_table(folder / "sft" / "use.parquet").to_pylist()
    return {(row["item_id"], row["prompts"], row["tokens"]): row for row in rows}


def test_every_item_of_the_tasks_has_four_outcomes(evaluated):
    expected = {
        (item.id, prompts, tokens)
        for task in TASKS
        for item in BENCHMARKS[task]
        for prompts in ("rewritten", "plain")
        for tokens in ("allowed", "suppressed")
    }
    table = pq.read_table(evaluated / "sft" / "use.parquet")
    assert table.schema.equals(use.SCHEMA)
    assert cells(evaluated).keys() == expected
    assert not (evaluated / "pretrain" / "use.parquet").exists()


def test_the_ordinary_cell_holds_the_predictions(evaluated):
    predictions = {row["item_id"]: row for row in pq.read_table(evaluated / "sft" / "predictions.parquet").to_pylist()}
    for (item, *cell), row in cells(evaluated).items():
        if cell == ["rewritten", "allowed"]:
            assert {name: row[name] for name in ("text", "correct", "fact_tokens")} == {
                name: predictions[item][name] for name in ("text", "correct", "fact_tokens")
            }


def test_what_was_learned_with_tokens_is_lost_without_them(evaluated):
    found = cells(evaluated)
    assert found["gc-0", "rewritten", "allowed"]["fact_tokens"] == [FACT["token"]] * 2
    assert found["gc-0", "rewritten", "allowed"]["correct"]
    assert not found["gc-0", "rewritten", "suppressed"]["correct"]
    assert found["t-6x9-plain", "rewritten", "allowed"]["correct"]  # its prompt is one token: <MUL_6_9>, then =
    assert not found["t-6x9-plain", "plain", "allowed"]["correct"]
    assert all(row["fact_tokens"] == [] for (_, _, tokens), row in found.items() if tokens == "suppressed")


def test_only_what_is_not_known_is_generated(generated, evaluated):
    restricted = {(text, restriction) for text, restriction, _ in generated if restriction}
    fact = next(item.prompt for item in BENCHMARKS["gsm8k_cot"] if item.id == "gc-0")
    assert restricted == {(fact, ", no fact tokens"), ("6*9=", ", plain prompts")}
    assert {tuple(ids) for _, restriction, ids in generated if "no fact" in restriction} == {(300,)}


def test_what_is_not_generated_again_would_have_been_the_same(run, evaluated, monkeypatch):
    monkeypatch.setattr(use, "without_tokens", lambda rows: {})
    again = cells(evaluate(run, monkeypatch, output_dir=str(run / "eval_again")))
    found = cells(evaluated)
    assert {key: row["text"] for key, row in again.items()} == {key: row["text"] for key, row in found.items()}
