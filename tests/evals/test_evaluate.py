"""The eval command, with the real lighteval: what it writes for each checkpoint, and what it refuses."""

import json
import math
import shutil
import socket
from dataclasses import fields

import pyarrow.parquet as pq
import pytest
import torch
from evaluation_run import (
    BENCHMARKS,
    EOS,
    FACT,
    LEARNED,
    STYLES,
    WINDOW,
    evaluate,
    evaluate_all,
    item,
    recipe,
    write_benchmarks,
    write_run,
)
from transformers import AutoModelForCausalLM, AutoTokenizer

from mulfact.evals.evaluate_arguments import EvalArguments
from mulfact.evals.evaluation import harness
from mulfact.evals.evaluation.harness import Checkpoint
from mulfact.evals.evaluation.predictions import SCHEMA, cut_completion
from mulfact.evals.evaluation.tasks import gold_text
from mulfact.recipe import compose


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_run(folder)
    return folder


def refused(run, monkeypatch, **changes) -> str:
    """Return the message with which the command ends; what it had written before is still there."""
    with pytest.raises(SystemExit) as ended:
        evaluate(run, monkeypatch, **changes)
    return str(ended.value)


@pytest.fixture(scope="module")
def evaluated(run):
    with pytest.MonkeyPatch.context() as monkeypatch:
        return evaluate(run, monkeypatch)


def test_the_arguments_are_the_eval_section_of_the_recipe(repository):
    section = compose(repository / "recipes", "smoke", "baseline", 0)["eval"]
    assert list(section) == [field.name for field in fields(EvalArguments)]
    assert section["generation_size"].keys() == section["stop_sequences"].keys() == set(STYLES.values())


def rows_of(folder):
    return {row["item_id"]: row for row in pq.read_table(folder / "predictions.parquet").to_pylist()}


def test_every_checkpoint_gets_its_results_and_predictions(evaluated):
    files = {path.relative_to(evaluated).as_posix() for path in evaluated.rglob("*") if path.is_file()}
    names = ("gsm8k_results.json", "arithmetic_results.json", "word_problem_results.json", "predictions.parquet")
    results = {f"{stage}/{name}" for stage in ("pretrain", "sft") for name in names}
    assert files == results | {"sft/use.parquet", "provenance.json"}


def test_predictions_have_the_agreed_columns_and_every_item_in_order(evaluated):
    table = pq.read_table(evaluated / "sft" / "predictions.parquet")
    assert table.schema.equals(SCHEMA)
    expected = [(name, i.id) for name, items in BENCHMARKS.items() for i in items]
    assert list(zip(table["task"].to_pylist(), table["item_id"].to_pylist(), strict=True)) == expected


def test_what_was_learned_is_right_and_ends_with_eos(evaluated):
    rows = rows_of(evaluated / "sft")
    for name, items in LEARNED.items():
        for learned in items:
            row = rows[learned.id]
            assert row["text"] == gold_text(learned, STYLES[name])
            assert row["correct"]
            assert row["correct_strict"]
            assert row["extracted"] == learned.answer
            assert row["error_class"] is None
            assert not row["truncated"]


def test_fact_tokens_are_counted_from_ids_and_read_as_plain_text(run, evaluated):
    rows = rows_of(evaluated / "sft")
    tokenizer = AutoTokenizer.from_pretrained(run / "tokenizer")
    row = rows["gc-0"]
    assert row["fact_tokens"] == [FACT["token"]] * 2
    assert row["text"] == " 6*9 = <<6*9=54>>54.\n#### 54"
    assert tokenizer.decode(row["token_ids"]) == row["text"]
    assert row["generated_tokens"] == len(row["token_ids"])
    assert tokenizer.eos_token_id not in row["token_ids"]
    assert rows["gc-1"]["fact_tokens"] == []


def test_wrong_items_get_an_error_class(evaluated):
    rows = rows_of(evaluated / "sft")
    assert rows["t-2x7"]["extracted"] == "56"
    assert rows["t-2x7"]["error_class"] == "arithmetic"
    untrained = rows_of(evaluated / "pretrain")
    assert all(row["error_class"] for row in untrained.values())
    assert any(row["error_class"] == "truncated" and row["truncated"] for row in untrained.values())


def test_results_are_the_means_of_the_predictions(evaluated):
    rows = [row for row in rows_of(evaluated / "sft").values() if row["task"] == "gsm8k_cot"]
    results = json.loads((evaluated / "sft" / "gsm8k_results.json").read_text())
    assert results["checkpoint"].endswith("sft_final")
    assert set(results["tasks"]) == {"gsm8k_direct", "gsm8k_cot"}
    task = results["tasks"]["gsm8k_cot"]
    assert task["items"] == 3
    assert task["accuracy"] == sum(row["correct"] for row in rows) / 3 >= 2 / 3
    assert task["mean_fact_tokens"] == sum(len(row["fact_tokens"]) for row in rows) / 3
    assert sum(task["error_classes"].values()) == sum(not row["correct"] for row in rows)
    assert task["gold_over_budget"] == 0.0
    word_problems = json.loads((evaluated / "sft" / "word_problem_results.json").read_text())
    assert word_problems["tasks"]["svamp"]["gold_bits_per_character"] is None


def test_gold_bits_are_those_of_a_plain_forward_pass(run, evaluated):
    tokenizer = AutoTokenizer.from_pretrained(run / "tokenizer")
    for stage in ("pretrain", "sft"):
        model = AutoModelForCausalLM.from_pretrained(run / f"{stage}_final")
        cot = gold_text(BENCHMARKS["gsm8k_cot"][0], "cot")
        for name, given, gold, characters in (("gc-0", "", cot, len(cot)), ("gd-0", " ####", " 54", len("54"))):
            row = rows_of(evaluated / stage)[name]
            prompt_ids, gold_ids = tokenizer([row["prompt"] + given, gold])["input_ids"]
            with torch.no_grad():
                logprobs = model(torch.tensor([prompt_ids + gold_ids])).logits[0].log_softmax(-1)
            positions = range(len(prompt_ids) - 1, len(prompt_ids) + len(gold_ids) - 1)
            nats = -sum(logprobs[p, token].item() for p, token in zip(positions, gold_ids, strict=True))
            assert row["gold_bits_per_character"] == pytest.approx(nats / math.log(2) / characters, rel=1e-4)


def test_a_completion_is_the_greedy_one_and_no_prompt_is_cut(run, monkeypatch):
    """lighteval alone would cut the second prompt to the length of the first, which has more characters."""
    many_characters = item("gd", 1, " ".join(["bags of"] * 12), "5", "gsm8k", "direct")
    many_tokens = item("gd", 2, "?".join("§¶ß±÷×§¶ß±÷×§¶ß±÷×"), "5", "gsm8k", "direct")
    items = [many_characters, many_tokens]
    tokenizer = AutoTokenizer.from_pretrained(run / "tokenizer")
    lengths = [len(tokenizer(i.prompt)["input_ids"]) for i in items]
    assert len(many_characters.prompt) > len(many_tokens.prompt)
    assert lengths[1] > lengths[0] + 12

    seen = []
    generate = Checkpoint._generate_padded
    monkeypatch.setattr(
        Checkpoint, "_generate_padded", lambda self, **given: seen.append(given["batch"]) or generate(self, **given)
    )
    write_benchmarks(run / "long", {"gsm8k_direct": items})
    folder = evaluate(run, monkeypatch, benchmarks=str(run / "long"), use_tasks=[], output_dir=str(run / "eval_long"))
    assert [batch.input_mask.sum(1).tolist() for batch in seen] == [lengths, lengths]

    model = AutoModelForCausalLM.from_pretrained(run / "sft_final")
    for row, length in zip(rows_of(folder / "sft").values(), lengths, strict=True):
        inputs = tokenizer(row["prompt"], return_tensors="pt")
        ids = model.generate(**inputs, max_new_tokens=12, do_sample=False, pad_token_id=1)[0, length:].tolist()
        assert row["token_ids"] == cut_completion(ids, tokenizer, ["\n"])[0]


def test_the_same_command_twice_gives_the_same_bytes(run, evaluated, monkeypatch):
    again = evaluate(run, monkeypatch, output_dir=str(run / "eval_again"))
    for path in evaluated.rglob("*_results.json"):
        assert (again / path.relative_to(evaluated)).read_text() == path.read_text()
    for stage in ("pretrain", "sft"):
        assert rows_of(again / stage) == rows_of(evaluated / stage)


def test_max_samples_takes_the_same_items_for_every_checkpoint(run, monkeypatch):
    folder = evaluate(run, monkeypatch, max_samples=2, output_dir=str(run / "eval_few"))
    assert rows_of(folder / "sft").keys() == rows_of(folder / "pretrain").keys()
    assert json.loads((folder / "sft" / "word_problem_results.json").read_text())["tasks"]["svamp"]["items"] == 2


def test_many_runs_in_one_process_and_a_broken_one_among_them(run, evaluated, monkeypatch, capsys):
    good, other = (recipe(run, output_dir=str(run / name)) for name in ("eval_good", "eval_other"))
    broken = recipe(run, output_dir=str(run / "eval_broken"), checkpoints={"grpo": str(run / "grpo_final")})
    with pytest.raises(SystemExit) as ended:
        evaluate_all(run, monkeypatch, [good, broken, other])
    assert "eval.checkpoints.grpo: " in str(ended.value)
    assert "(2 of 3 runs are evaluated)" in str(ended.value)
    assert not (run / "eval_broken").exists()
    for name in ("eval_good", "eval_other"):
        assert rows_of(run / name / "sft") == rows_of(evaluated / "sft")

    capsys.readouterr()
    before = (run / "eval_good" / "provenance.json").stat()
    evaluate_all(run, monkeypatch, [good, other])
    assert capsys.readouterr().out.count("evaluated already") == 2
    after = (run / "eval_good" / "provenance.json").stat()
    assert after.st_ino == before.st_ino
    assert after.st_mtime_ns > before.st_mtime_ns  # make goes by time


def test_a_run_is_evaluated_again_when_its_recipe_or_a_file_of_it_has_changed(run, monkeypatch, capsys):
    folder = evaluate(run, monkeypatch, max_samples=1, output_dir=str(run / "eval_changed"))
    evaluate(run, monkeypatch, max_samples=2, output_dir=str(folder))
    assert json.loads((folder / "sft" / "word_problem_results.json").read_text())["tasks"]["svamp"]["items"] == 2
    (folder / "sft" / "predictions.parquet").write_bytes(b"cut short")
    evaluate(run, monkeypatch, max_samples=2, output_dir=str(folder))
    assert rows_of(folder / "sft")
    assert "evaluated already" not in capsys.readouterr().out


def test_two_runs_may_not_share_an_output_folder(run, monkeypatch):
    with pytest.raises(SystemExit, match="give each its own"):
        evaluate_all(run, monkeypatch, [recipe(run), recipe(run)])


def test_gold_completions_are_scored_in_batches_that_fit_and_score_the_same(run, evaluated, monkeypatch):
    monkeypatch.setattr(harness, "LOGIT_BYTES", 1)
    batches = []
    score = Checkpoint._loglikelihood_tokens
    monkeypatch.setattr(
        Checkpoint,
        "_loglikelihood_tokens",
        lambda self, docs: batches.append(self.config.batch_size) or score(self, docs),
    )
    folder = evaluate(run, monkeypatch, output_dir=str(run / "eval_small"))
    assert set(batches) == {1}
    bits = [
        [row["gold_bits_per_character"] for row in rows_of(path / "sft").values() if row["task"] != "svamp"]
        for path in (folder, evaluated)
    ]
    assert bits[0] == pytest.approx(bits[1], rel=1e-4)


def test_a_gpu_without_memory_is_told_to_take_smaller_batches(run, monkeypatch):
    def no_memory(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Checkpoint, "_generate_padded", no_memory)
    message = refused(run, monkeypatch, output_dir=str(run / "eval_memory"))
    assert "lower eval.batch_size" in message
    assert not (run / "eval_memory").exists()


def test_nothing_reaches_for_the_network(run, monkeypatch):
    attempts = []
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **_: attempts.append(address) or [])
    evaluate(run, monkeypatch, max_samples=1, output_dir=str(run / "eval_offline"))
    assert attempts == []
    assert torch.is_grad_enabled()


def test_a_missing_checkpoint_names_the_make_target(run, evaluated, monkeypatch):
    message = refused(run, monkeypatch, checkpoints={"grpo": str(run / "grpo_final")})
    assert message.startswith("error: eval.checkpoints.grpo: ")
    assert "make grpo writes it" in message
    assert (evaluated / "provenance.json").is_file()


def test_a_run_whose_gate_stopped_grpo_is_evaluated_without_it(run, evaluated, monkeypatch, tmp_path):
    (tmp_path / "readiness").mkdir()
    record = {"ready": False, "force": False}
    (tmp_path / "readiness" / "readiness.json").write_text(json.dumps(record))
    checkpoints = {"pretrain": str(run / "pretrain_final"), "grpo": str(tmp_path / "grpo_final")}
    folder = evaluate(run, monkeypatch, checkpoints=checkpoints, output_dir=str(tmp_path / "eval"))
    assert {path.name for path in folder.iterdir()} == {"pretrain", "provenance.json"}
    assert rows_of(folder / "pretrain") == rows_of(evaluated / "pretrain")

    (tmp_path / "readiness" / "readiness.json").write_text(json.dumps(record | {"force": True}))
    message = refused(run, monkeypatch, checkpoints=checkpoints, output_dir=str(folder))
    assert "make grpo writes it" in message


def test_a_tokenizer_of_another_arm_is_refused(run, monkeypatch, tmp_path):
    other = shutil.copytree(run / "tokenizer", tmp_path / "tokenizer")
    content = json.loads((other / "tokenizer.json").read_text())
    (other / "tokenizer.json").write_text(json.dumps({**content, "padding": {"strategy": "BatchLongest"}}))
    evaluate(run, monkeypatch, tokenizer=str(other), max_samples=1, output_dir=str(tmp_path / "eval"))

    (other / "tokenizer.json").write_text(json.dumps({**content, "normalizer": None}))
    message = refused(run, monkeypatch, tokenizer=str(other))
    assert "is not the tokenizer of" in message
    assert "own arm" in message


def test_another_vocabulary_size_is_refused(run, monkeypatch, tmp_path):
    other = shutil.copytree(run / "tokenizer", tmp_path / "tokenizer")
    facts = json.loads((other / "facts.json").read_text())
    (other / "facts.json").write_text(json.dumps({**facts, "vocab_size": 384}))
    assert "has vocab_size 320" in refused(run, monkeypatch, tokenizer=str(other))


def test_a_checkpoint_cut_short_is_refused(run, monkeypatch, tmp_path):
    broken = shutil.copytree(run / "sft_final", tmp_path / "sft_final")
    weights = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    message = refused(run, monkeypatch, checkpoints={"sft": str(broken)})
    assert f"{broken} holds no readable model" in message


def test_prompts_over_the_window_are_refused_unless_allowed(run, monkeypatch):
    sizes = {"cot": WINDOW - 8, "direct": 12}
    message = refused(run, monkeypatch, generation_size=sizes)
    assert f"do not fit the window of {WINDOW} tokens" in message
    assert "prompts have room for 8" in message
    folder = evaluate(
        run, monkeypatch, generation_size=sizes, max_cut_prompts=1.0, max_samples=1, output_dir=str(run / "eval_cut")
    )
    assert len(rows_of(folder / "sft")) == len(BENCHMARKS)


def test_gold_completions_that_are_longer_than_a_completion_may_be_are_counted(run, monkeypatch, capsys):
    tokenizer = AutoTokenizer.from_pretrained(run / "tokenizer")
    lengths = [len(tokenizer(gold_text(i, "cot"))["input_ids"]) for i in BENCHMARKS["gsm8k_cot"]]
    sizes = {"cot": max(lengths) - 1, "direct": 12}
    folder = evaluate(run, monkeypatch, generation_size=sizes, max_samples=1, output_dir=str(run / "eval_tight"))
    share = sum(length == max(lengths) for length in lengths) / len(lengths)
    for stage in ("pretrain", "sft"):
        tasks = json.loads((folder / stage / "gsm8k_results.json").read_text())["tasks"]
        assert {name: task["gold_over_budget"] for name, task in tasks.items()} == {
            "gsm8k_direct": 0.0,
            "gsm8k_cot": share,
        }
    word_problems = json.loads((folder / "sft" / "word_problem_results.json").read_text())["tasks"]
    assert word_problems["svamp"]["gold_over_budget"] is None  # its solutions are not known
    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert f"than eval.generation_size in {share:.1%} of gsm8k_cot" in warnings[0]


def test_a_prompt_style_without_settings_is_refused(run, monkeypatch):
    message = refused(run, monkeypatch, stop_sequences={"cot": []})
    assert "eval.stop_sequences has no entry for the style 'direct' of gsm8k_direct" in message


def test_a_use_task_that_is_not_evaluated_is_refused(run, monkeypatch):
    message = refused(run, monkeypatch, use_tasks=["gsm8k_cot", "table_10"])
    assert "eval.use_tasks holds 'table_10'; expected some of gsm8k_direct, gsm8k_cot, table_9, svamp" in message
    message = refused(run, monkeypatch, use_stages=["rl"])
    assert "eval.use_stages holds 'rl'; expected some of pretrain, sft" in message


@pytest.mark.parametrize(
    ("text", "stops", "kept", "truncated"),
    [
        (f" #### 54{EOS}{EOS}", ["\n"], " #### 54", False),
        (" #### 54\nAnd so on", ["\n"], " #### 54", False),
        (f" 6*9 = 54\n#### 54{EOS}", ["\nQuestion:"], " 6*9 = 54\n#### 54", False),
        (" #### 54\nQuestion: and", ["\nQuestion:"], " #### 54", False),
        (" 6*9 =", ["\n"], " 6*9 =", True),
        (f"{EOS} 54\n", ["\n"], "", False),
        ("\n54", ["\n"], "", False),
    ],
)
def test_a_completion_ends_at_its_eos_or_stop_sequence(run, text, stops, kept, truncated):
    tokenizer = AutoTokenizer.from_pretrained(run / "tokenizer")
    token_ids, was_truncated = cut_completion(tokenizer(text)["input_ids"], tokenizer, stops)
    assert tokenizer.decode(token_ids) == kept
    assert was_truncated == truncated
