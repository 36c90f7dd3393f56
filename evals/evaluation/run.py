"""The evaluation of one run: each checkpoint on each benchmark, checked before it begins, saved when all are done.

evaluate_run(parse(EvalArguments))      # writes what evals/evaluate.py tells of
"""

import json
import logging
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from rich.console import Console
from rich.table import Table
from tqdm import tqdm
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from mulfact.data_builders.problems.items import Benchmark, Item
from mulfact.errors import UserError
from mulfact.evals.evaluate_arguments import EvalArguments
from mulfact.evals.evaluation.budgets import GOLD_OVER_BUDGET, gold_over_budget, prompt_limit, warn_of
from mulfact.evals.evaluation.embeddings import write_embeddings
from mulfact.evals.evaluation.harness import Checkpoint, load_checkpoint, run_task
from mulfact.evals.evaluation.predictions import prediction, summary, write_predictions
from mulfact.evals.evaluation.tasks import FAMILIES, read_benchmarks, task_config
from mulfact.evals.evaluation.use import PROMPTS, TOKENS, USE_FILE, use_accuracies, use_cells, write_use
from mulfact.modeling.posttraining.readiness_record import is_stopped
from mulfact.provenance import PROVENANCE, hash_json, input_hash, read_provenance, stage_output, write_json
from mulfact.tokenizers.encode import plain_tokenizer
from mulfact.tokenizers.facts import read_facts

Row = dict[str, Any]


def evaluate_run(arguments: EvalArguments) -> None:
    """Evaluate the checkpoints of one run into its output folder. Raises UserError for what does not fit together."""
    benchmarks = read_benchmarks(arguments.benchmarks)
    check_recipe(arguments, benchmarks)
    checkpoints = trained(arguments.checkpoints)
    for stage, checkpoint in checkpoints.items():
        check_checkpoint(stage, Path(checkpoint), Path(arguments.tokenizer))

    inputs = [arguments.benchmarks, arguments.tokenizer, *checkpoints.values()]
    if is_evaluated(arguments, inputs):
        print(f"{arguments.output_dir}: evaluated already; delete it to evaluate again")
        return
    tokenizer = AutoTokenizer.from_pretrained(next(iter(checkpoints.values())), local_files_only=True)  # of all of them
    plain, sizes, max_cut = plain_tokenizer(arguments.tokenizer), arguments.generation_size, arguments.max_cut_prompts
    limits = {
        stage: prompt_limit(checkpoint, tokenizer, plain, benchmarks, sizes, max_cut)
        for stage, checkpoint in checkpoints.items()
    }
    over_budget = gold_over_budget(tokenizer, benchmarks, sizes)
    results: dict[str, dict[str, Any]] = {}
    with stage_output(arguments.output_dir, arguments, inputs) as folder:
        for stage, checkpoint in checkpoints.items():
            used = arguments.use_tasks if stage in arguments.use_stages else []
            rows, use = evaluate(checkpoint, benchmarks, arguments, limits[stage], used)
            results[stage] = save(folder / stage, checkpoint, benchmarks, rows, over_budget)
            write_embeddings(folder / stage, Path(checkpoint), read_facts(arguments.tokenizer))
            if used:
                write_use(folder / stage / USE_FILE, use)
                print_use(stage, use)
    warn_of(over_budget, arguments.output_dir)
    print(f"{arguments.output_dir}: results and predictions of {', '.join(results)}")


def trained(checkpoints: Mapping[str, str]) -> dict[str, str]:
    """Return the checkpoints without that of GRPO where its gate stopped it."""
    return {
        stage: checkpoint
        for stage, checkpoint in checkpoints.items()
        if stage != "grpo" or not is_stopped(Path(checkpoint).parent)
    }


def check_folders(runs: Sequence[EvalArguments]) -> None:
    """Raise UserError when two runs would be written into the same folder."""
    folders = [arguments.output_dir for arguments in runs]
    for folder in folders:
        if folders.count(folder) > 1:
            raise UserError(f"eval.output_dir is {folder} for {folders.count(folder)} runs: give each its own")


def evaluate(
    checkpoint: str, benchmarks: Sequence[Benchmark], arguments: EvalArguments, limit: int, used: Sequence[str]
) -> tuple[dict[str, list[Row]], list[Row]]:
    """Return the predictions of one checkpoint, by benchmark, and the 2x2 of use of the benchmarks in `used`.

    Its prompts have at most `limit` tokens.
    """
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
    fact_tokens = {index: fact.token for index, fact in read_facts(arguments.tokenizer).by_id.items()}
    device = "cpu" if arguments.use_cpu else "cuda"
    rows: dict[str, list[Row]] = {}
    use: list[Row] = []
    with torch.no_grad(), tempfile.TemporaryDirectory() as scratch:
        model = load_checkpoint(checkpoint, arguments.batch_size, device, limit, scratch)
        for benchmark in benchmarks:
            answer = partial(answers, model, benchmark, arguments, tokenizer, fact_tokens)
            rows[benchmark.name] = answer(benchmark.items, arguments.max_samples)
            if benchmark.name in used:
                use += use_cells(model, benchmark, rows[benchmark.name], list(fact_tokens), answer)
    return rows, use


def answers(
    model: Checkpoint,
    benchmark: Benchmark,
    arguments: EvalArguments,
    tokenizer: PreTrainedTokenizerBase,
    fact_tokens: Mapping[int, str],
    items: Sequence[Item],
    max_samples: int | None = None,
) -> list[Row]:
    """Return the predictions for items of a benchmark, as many of them as `max_samples`, and print how it went."""
    started = time.monotonic()
    stop_sequences = arguments.stop_sequences[benchmark.style]
    config = task_config(benchmark, arguments.generation_size[benchmark.style], stop_sequences, not model.restriction)
    # The bar is for a terminal; the line that stays is for a log, in which two runs may be mixed.
    total = min(len(items), max_samples or len(items))
    where = f"{model.folder} {benchmark.name}{model.restriction}"
    with tqdm(total=total, desc=where, leave=False, disable=None) as bar:
        try:
            outcomes = run_task(model, config, items, max_samples, bar.update)
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"{model.folder}: no memory for {arguments.batch_size} items of {benchmark.name} at once; "
                "lower eval.batch_size, for every arm alike"
            ) from error
    rows = [prediction(benchmark.name, outcome, tokenizer, stop_sequences, fact_tokens) for outcome in outcomes]
    report_progress(model.folder, f"{benchmark.name}{model.restriction}", rows, time.monotonic() - started)
    return rows


def save(
    folder: Path,
    checkpoint: str,
    benchmarks: Sequence[Benchmark],
    rows: Mapping[str, list[Row]],
    over_budget: Mapping[str, float | None],
) -> dict[str, Any]:
    """Write the predictions and one results file for each family; return the results by benchmark."""
    folder.mkdir()
    write_predictions(folder / "predictions.parquet", [row for task_rows in rows.values() for row in task_rows])
    results = {name: {**summary(task_rows), GOLD_OVER_BUDGET: over_budget[name]} for name, task_rows in rows.items()}
    for family in FAMILIES:
        tasks = {b.name: results[b.name] for b in benchmarks if b.family == family}
        write_json(folder / f"{family}_results.json", {"checkpoint": checkpoint, "tasks": tasks})
    return results


def is_evaluated(arguments: EvalArguments, inputs: Sequence[str]) -> bool:
    """Return whether the output is complete, and was made by this recipe from these inputs.

    If so its record gets a new time stamp, so that make, which goes by time, sees it as well.
    """
    record_path = Path(arguments.output_dir) / PROVENANCE
    if not record_path.is_file():
        return False
    record = read_provenance(arguments.output_dir)
    current = {path: input_hash(path) for path in inputs}
    if record["recipe_sha256"] != hash_json(asdict(arguments)) or record["inputs"] != current:
        return False
    try:
        input_hash(arguments.output_dir)
    except UserError:  # a file in it was cut short
        return False
    record_path.touch()
    return True


def check_recipe(arguments: EvalArguments, benchmarks: Sequence[Benchmark]) -> None:
    """Raise UserError for a prompt style without settings, an unknown task or stage, and a GPU that is not there."""
    for key, valid in (("use_stages", [*arguments.checkpoints]), ("use_tasks", [b.name for b in benchmarks])):
        for name in getattr(arguments, key):
            if name not in valid:
                raise UserError(f"eval.{key} holds {name!r}; expected some of {', '.join(valid)}")
    for benchmark in benchmarks:
        for key in ("generation_size", "stop_sequences"):
            if benchmark.style not in getattr(arguments, key):
                raise UserError(
                    f"eval.{key} has no entry for the style {benchmark.style!r} of {benchmark.name}; "
                    f"found {', '.join(getattr(arguments, key))}"
                )
    if not arguments.use_cpu and not torch.cuda.is_available():
        raise UserError("eval.use_cpu is false, but torch sees no GPU here; set eval.use_cpu=true")


def check_checkpoint(stage: str, checkpoint: Path, tokenizer: Path) -> None:
    """Raise UserError when a checkpoint is missing, or was not trained with this tokenizer."""
    if not (checkpoint / "config.json").is_file():
        raise UserError(f"eval.checkpoints.{stage}: {checkpoint} is missing or holds no model; make {stage} writes it")
    own, expected = tokenizer_hash(checkpoint), tokenizer_hash(tokenizer)
    if own != expected:
        raise UserError(
            f"{checkpoint}/tokenizer.json is not the tokenizer of {tokenizer} ({own[:12]} against {expected[:12]}): "
            f"evaluate with the tokenizer of the model's own arm, or make {stage} again"
        )
    vocab_size = json.loads((checkpoint / "config.json").read_text())["vocab_size"]
    expected_size = read_facts(tokenizer).vocab_size
    if vocab_size != expected_size:
        raise UserError(
            f"{checkpoint}/config.json has vocab_size {vocab_size}, {tokenizer}/facts.json says {expected_size}: "
            f"the tokenizer does not belong to the model; make {stage} again"
        )


def tokenizer_hash(folder: Path) -> str:
    """Return the SHA-256 of what tokenizer.json says about text and ids; how a batch is padded may differ."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise UserError(f"{path} is missing: run the stage that writes {folder} again")
    content = json.loads(path.read_text())
    return hash_json({key: value for key, value in content.items() if key not in ("padding", "truncation")})


def silence_libraries() -> None:
    """Keep the terminal readable: both libraries warn about what is meant here, such as a temperature of 0."""
    logging.getLogger("lighteval").setLevel(logging.ERROR)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def report_progress(checkpoint: str, task: str, rows: list[Row], seconds: float) -> None:
    accuracy = summary(rows)["accuracy"]
    print(
        f"{checkpoint}  {task:<13} {len(rows):>5} items  {seconds:6.1f} s  {len(rows) / seconds:7.1f} items/s  "
        f"accuracy {accuracy:6.1%}",
        flush=True,
    )


def print_use(stage: str, rows: Sequence[Row]) -> None:
    """Print accuracy by way of encoding prompts and of treating fact tokens, a line for each task."""
    table = Table(f"use after {stage}", *(f"{prompts}, {tokens}" for prompts in PROMPTS for tokens in TOKENS))
    for task, cells in use_accuracies(rows).items():
        table.add_row(task, *(f"{accuracy:.1%}" for accuracy in cells.values()))
    Console().print(table)
