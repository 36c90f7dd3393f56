"""What is refused when a recipe is composed, before anything has run: settings that would doom a stage hours later.

    check_composed(stages)      # the flat recipes of one run, by stage

Kinds of values are checked before (mulfact/recipe_types.py), and keys when the overlays are merged.
"""

import ast
import importlib.util
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mulfact.data_builders.corpus_arguments import CorpusArguments
from mulfact.data_builders.problem_sets.gsm8k import extra_set_rows
from mulfact.data_builders.problem_sets.reasoning_gym_probes import GENERATORS, check_generators, task_of
from mulfact.data_builders.problems.items import BENCHMARKS
from mulfact.errors import UserError, unknown
from mulfact.evals.compare_arguments import CompareArguments
from mulfact.evals.halves import HalvesArguments
from mulfact.modeling.posttraining.adapter import check_dropout
from mulfact.modeling.posttraining.processes import divide
from mulfact.modeling.pretrain_arguments import PretrainArguments
from mulfact.modeling.pretraining.steps import resolve_steps
from mulfact.tokenizers.custom import read_settings
from mulfact.tokenizers.facts import VOCAB_SIZE_MULTIPLE, padded_size
from mulfact.trl_options import check_options

# Keys under which a stage writes; recipe.py keeps them at their places below `outputs`.
WRITTEN_PATHS = ("output_dir", "checkpoint_dir", "curve_dir", "run_dir", "output")

# Sections that are checked where they are declared: only what needs no torch is imported to compose a recipe.
DECLARED = {
    "corpus": CorpusArguments, "pretrain": PretrainArguments, "compare": CompareArguments, "halves": HalvesArguments,
}  # fmt: skip

# Of the other sections, and of TRL's options: what a number must be where there is one, and the keys of such numbers.
NUMBERS: tuple[tuple[str, Callable[[float], bool], Mapping[str, tuple[str, ...]]], ...] = (
    ("a number from 1", lambda number: number >= 1, {
        "base_tokenizer": ("vocab_size", "max_bytes"),
        "posttrain": (
            "synthetic_problems", "synthetic_max_steps", "synthetic_max_operand", "validation_rows",
            "development_prompts", "grpo_max_steps", "max_characters",
        ),
        "benchmarks": ("synthetic_problems", "synthetic_max_steps", "probe_items"),
        "tokenizer": ("vocab_size",),
        "tokens": ("num_workers",),
        "sft": ("max_length", "per_device_train_batch_size", "gradient_accumulation_steps", "max_steps"),
        "readiness": ("prompts", "samples", "max_completion_length", "batch_size"),
        "grpo": (
            "max_completion_length", "num_generations", "per_device_train_batch_size", "gradient_accumulation_steps",
            "max_steps", "num_iterations",
        ),
        "eval": ("batch_size", "max_samples"),
        "curve": ("batch_size", "contexts"),
    }),
    ("a number from 0", lambda number: number >= 0, {
        "corpus": ("min_fact_count", "seed"),
        "posttrain": ("added_synthetic", "arithmetic_rows", "seed"),
        "benchmarks": ("seed",),
        "sft": ("learning_rate", "weight_decay"),
        "grpo": ("learning_rate", "weight_decay", "beta"),
        "halves": ("seed",),
    }),
    ("a number above 0", lambda number: number > 0, {
        "sft": ("logging_steps", "save_steps"),
        "grpo": ("logging_steps", "save_steps", "temperature"),
        "readiness": ("temperature",),
    }),
    ("a share between 0 and 1", lambda number: 0 <= number <= 1, {
        "corpus": ("max_duplicate_fraction",),
        "posttrain": ("direct_fraction",),
        "tokens": ("min_fact_share",),
        "lengths": ("max_truncated",),
        "readiness": ("threshold",),
        "eval": ("max_cut_prompts",),
    }),
)  # fmt: skip
AMPLE = 10**9  # problems that a further set may join, whose number is not known yet
WORD_PROBLEM_SETS = ("svamp", "multiarith", "asdiv", "math")

REWARDS = "mulfact.evals.rewards"
Section = Mapping[str, Any]

# Settings of TRL that would end in an error, or in numbers that cannot be compared, after training was paid for: the
# key, whether its section is right, and what to write instead.
TRL_RULES: tuple[tuple[str, Callable[[Section], bool], str], ...] = (
    ("sft.packing", lambda sft: not sft["packing"], "false: packed, an arm with shorter rows would see more of them"),
    (
        "sft.pad_to_multiple_of",
        lambda sft: sft["pad_to_multiple_of"] == sft["max_length"],
        "${sft.max_length}: the ledger needs as many positions in each step of every arm",
    ),
    (
        "grpo.num_generations",
        lambda grpo: grpo["num_generations"] > 1 and generated_together(grpo) % grpo["num_generations"] == 0,
        "2 or more, and a divisor of the completions that are generated together "
        "(grpo.per_device_train_batch_size x grpo.gradient_accumulation_steps)",
    ),
    ("grpo.log_completions", lambda grpo: grpo["log_completions"], "true: the ledger counts what was generated"),
    (
        "grpo.reward_funcs",
        lambda grpo: any(name.rpartition(".")[0] == REWARDS for name in grpo["reward_funcs"]),
        f"a list with a reward of {REWARDS}, which also corrects the positions of GPT-2's padded prompts",
    ),
    (
        "grpo.reward_weights",
        lambda grpo: len(grpo.get("reward_weights") or grpo["reward_funcs"]) == len(grpo["reward_funcs"]),
        "a number for each of grpo.reward_funcs",
    ),
    *(
        (f"{stage}.save_strategy", lambda trl: trl["save_strategy"] == "steps", "steps: its last one is published")
        for stage in ("sft", "grpo")
    ),
    *(
        (
            f"{stage}.num_train_epochs",
            lambda trl: trl.get("num_train_epochs") is None,
            "left out: max_steps says how long is trained",
        )
        for stage in ("sft", "grpo")
    ),
    *(
        (
            f"{stage}.{key}",
            lambda trl, key=key: not trl.get(key),
            f"left out: {why}",
        )
        for stage in ("sft", "grpo")
        for key, why in (
            ("push_to_hub", "make push publishes"),
            ("load_best_model_at_end", "the last checkpoint is published, in every arm"),
            ("resume_from_checkpoint", "training goes on from its own newest checkpoint"),
        )
    ),
    *(
        (
            f"{stage}.num_processes",
            lambda trl: trl.get("num_processes") is None,
            "left out: PROCESSES= of make says it, and the steps stay as they are",
        )
        for stage in ("sft", "grpo")
    ),
    *(
        (
            f"grpo.{key}",
            lambda grpo, key=key, neutral=neutral: grpo.get(key) in (None, neutral),
            f"left out{'' if neutral is None else f' or {neutral}'}: the readiness gate samples without it",
        )
        for key, neutral in (
            ("top_p", 1.0), ("top_k", 0), ("min_p", None), ("repetition_penalty", 1.0), ("generation_kwargs", None),
        )
    ),
)  # fmt: skip


def check_composed(stages: Mapping[str, Section]) -> None:
    """Raise UserError for settings that cannot work, alone or together."""
    for stage, declared in DECLARED.items():
        declared(**stages[stage])
    check_numbers(stages)
    pretrain = PretrainArguments(**stages["pretrain"])
    resolve_steps(pretrain, stages["tokenizer"]["vocab_size"])
    if pretrain.report_to != "none" and importlib.util.find_spec(pretrain.report_to) is None:
        raise UserError(
            f"pretrain.report_to is {pretrain.report_to}, which is not installed: pip install {pretrain.report_to}, or "
            "write none"
        )
    for stage in ("sft", "grpo"):
        check_options(stage, stages[stage])
    for entry in stages["posttrain"]["extra_sets"]:
        extra_set_rows(entry, own=AMPLE)
    check_generators(stages["benchmarks"]["reasoning_gym"])
    names = benchmark_names(stages["benchmarks"])
    for key, tasks in (
        ("compare.primary_task", [stages["compare"]["primary_task"]]),
        ("eval.use_tasks", stages["eval"]["use_tasks"]),
    ):
        for task in tasks:
            if task not in names:
                raise unknown("task", task, names, key)
    for stage in stages["eval"]["use_stages"]:
        if stage not in stages["eval"]["checkpoints"]:
            raise unknown("stage", stage, stages["eval"]["checkpoints"], "eval.use_stages")
    check_vocab_size(stages["tokenizer"], stages["base_tokenizer"])
    for key, length in (
        ("sft.max_length", stages["sft"]["max_length"]),
        ("grpo.max_completion_length", stages["grpo"]["max_completion_length"]),
        *((f"eval.generation_size.{style}", size) for style, size in stages["eval"]["generation_size"].items()),
    ):
        positions = stages["pretrain"]["n_positions"]
        if length > positions:
            raise UserError(f"{key} is {length}: it must not exceed pretrain.n_positions ({positions})")
    check_grading(stages["grpo"], stages["eval"])
    for path, holds, instead in TRL_RULES:
        stage, key = path.split(".")
        if not holds(stages[stage]):
            raise UserError(f"{path} is {stages[stage][key]!r}: it must be {instead}")
    check_rewards(stages["grpo"]["reward_funcs"])
    for stage in ("sft", "grpo"):
        check_dropout(dict(stages[stage]))


def check_processes(stages: Mapping[str, Section], processes: int) -> None:
    """Raise UserError unless so many processes can share the steps of SFT and GRPO, as those of pretraining."""
    for stage in ("sft", "grpo"):
        divide(stages[stage], processes, stage)


def check_grading(grpo: Section, evaluation: Section) -> None:
    """Raise UserError where evaluation would grade another text than GRPO was paid for."""
    longest, seen = grpo["max_completion_length"], evaluation["generation_size"]["cot"]
    if longest > seen:
        raise UserError(
            f"grpo.max_completion_length is {longest}, but eval.generation_size.cot is {seen}: evaluation would cut "
            "completions that GRPO was paid for; raise the second or lower the first"
        )
    stops = grpo["env"].get("MULFACT_STOP_SEQUENCES")
    if stops != json.dumps(evaluation["stop_sequences"]["cot"]):
        raise UserError(
            f"grpo.env.MULFACT_STOP_SEQUENCES is {stops!r}: training must grade the text that evaluation grades; leave "
            "it at ${json:${eval.stop_sequences.cot}}"
        )


def check_numbers(stages: Mapping[str, Section]) -> None:
    """Raise UserError for a number that cannot be one of its kind."""
    for expected, holds, keys in NUMBERS:
        for stage, key in ((stage, key) for stage, names in keys.items() for key in names):
            number = stages[stage].get(key)
            # What base.yaml leaves null may have come as anything.
            if number is not None and (not isinstance(number, int | float) or number is True or not holds(number)):
                raise UserError(f"{stage}.{key} is {number!r}: expected {expected}")


def benchmark_names(benchmarks: Section) -> list[str]:
    """Return what the benchmarks stage will call what it writes."""
    left_out = {name for name in WORD_PROBLEM_SETS if benchmarks[name] is None}
    left_out |= {task_of(name) for name in GENERATORS if name not in benchmarks["reasoning_gym"]}
    return [name for name in BENCHMARKS if name not in left_out]


def generated_together(grpo: Section) -> int:
    """Return how many completions TRL generates at a time, whole groups of num_generations."""
    steps = grpo.get("steps_per_generation") or grpo["gradient_accumulation_steps"]
    return int(grpo.get("generation_batch_size") or grpo["per_device_train_batch_size"] * steps)


def check_rewards(names: list[str]) -> None:
    """Raise UserError for a name that is none of the rewards of this project although it begins so."""
    for name in names:
        module, _, function = name.rpartition(".")
        if module == REWARDS and function not in own_rewards():
            raise unknown("reward", name, {f"{REWARDS}.{own}" for own in own_rewards()}, "grpo.reward_funcs")


@cache
def own_rewards() -> frozenset[str]:
    """Return the names of the rewards in evals/rewards.py, which is read and not imported: it brings torch along."""
    tree = ast.parse((Path(__file__).parent / "evals" / "rewards.py").read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return frozenset(node.name for node in functions if [a.arg for a in node.args.args][:1] == ["completions"])


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
    """Raise UserError when a link would let a stage write outside the folder `outputs`."""
    root = outputs.resolve()
    for stage, section in stages.items():
        for key in WRITTEN_PATHS:
            path = section.get(key)
            if path is not None and root not in Path(str(path)).resolve().parents:
                raise UserError(
                    f"{stage}.{key} is {path}, a link that leads out of {outputs}: a recipe writes inside of it only; "
                    "remove the link, or move all outputs with make OUTPUTS=..."
                )
