"""Is there something for GRPO to reinforce? Prompts that the SFT checkpoint solves now and then.

    python evals/readiness.py --config outputs/smoke/mulfact/seed-0/recipes/readiness.yaml

Samples completions as GRPO will, rewards them by the same rule, and writes readiness.json (the estimates and the
decision) and completions.jsonl. The prompts are the first of the development slice that come from the source of the
primary outcome, GSM8K where the run has it; no training step saw them, and every arm is asked the same ones. What a
group of completions teaches is the difference between its right and its wrong answers, so the share of groups that hold
both decides, not pass@k. `trl_stage.py prepare` starts GRPO only where it suffices, or where `force` is set.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mulfact.data_builders.problem_sets.gsm8k import SOURCE
from mulfact.data_builders.storage.rows import read_jsonl
from mulfact.errors import UserError, command
from mulfact.modeling.posttraining.readiness_record import RECORD, sentence
from mulfact.provenance import stage_output, write_json
from mulfact.settings import parse


@dataclass
class ReadinessArguments:
    output_dir: str = field(metadata={"help": "Folder of readiness.json and completions.jsonl."})
    model_name_or_path: str = field(metadata={"help": "The SFT checkpoint, which GRPO would start from."})
    dataset_name: str = field(metadata={"help": "Folder of GRPO's prompts; its validation.jsonl is the slice."})
    stop_sequences: list[str] = field(
        metadata={"help": "What ends a chain of thought, for the reward as in evaluation."}
    )
    seed: int = field(metadata={"help": "Of the sampling."})
    prompts: int = field(metadata={"help": "Development prompts, the first of the slice."})
    samples: int = field(metadata={"help": "Completions of each prompt: the k of pass@k."})
    threshold: float = field(metadata={"help": "Least share of mixed groups at which GRPO starts."})
    force: bool = field(metadata={"help": "Start GRPO below the threshold too; the record says so."})
    temperature: float = field(metadata={"help": "As in GRPO."})
    max_completion_length: int = field(metadata={"help": "As in GRPO."})
    batch_size: int = field(metadata={"help": "Completions that are generated together."})
    use_cpu: bool = field(metadata={"help": "Stay on the CPU."})

    def __post_init__(self) -> None:
        if not (self.prompts >= 1 and self.samples >= 1 and 0 <= self.threshold <= 1):
            raise UserError(
                f"readiness has prompts {self.prompts}, samples {self.samples} and threshold {self.threshold}: "
                "expected at least one of each, and a share between 0 and 1"
            )


@command
def main() -> None:
    arguments = parse(ReadinessArguments)
    from mulfact.evals.rewards import exact_match  # torch and transformers, as in `sample`

    model_folder, prompts = Path(arguments.model_name_or_path), Path(arguments.dataset_name)
    with stage_output(arguments.output_dir, arguments, [model_folder, prompts.parent]) as folder:
        rows = of_the_primary_source([row for _, row in read_jsonl(prompts / "validation.jsonl")])[: arguments.prompts]
        completions = sample(arguments, [row["prompt"] for row in rows])
        rewards = [
            exact_match(texts, [row["answer"]] * len(texts), stop_sequences=arguments.stop_sequences)
            for row, texts in zip(rows, completions, strict=True)
        ]
        record = decide(np.array(rewards), arguments)
        write_json(folder / RECORD, record)
        with (folder / "completions.jsonl").open("w", encoding="utf-8") as file:
            for row, texts, scores in zip(rows, completions, rewards, strict=True):
                file.write(json.dumps({**row, "completions": texts, "rewards": scores}, ensure_ascii=False) + "\n")
    print(f"{arguments.output_dir}: {sentence(record)}")


def of_the_primary_source(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return GSM8K's prompts where there are any, else all: problems added to them say nothing about them."""
    return [row for row in rows if row.get("source") == SOURCE] or rows


def sample(arguments: ReadinessArguments, prompts: list[str]) -> list[list[str]]:
    """Return `samples` completions of each prompt, drawn as GRPO draws them."""
    import torch  # seconds, as transformers; not paid for --help and for a mistake in the settings
    from tqdm import tqdm
    from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed

    device = torch.device("cpu" if arguments.use_cpu or not torch.cuda.is_available() else "cuda")
    tokenizer = AutoTokenizer.from_pretrained(arguments.model_name_or_path, padding_side="left")
    model: Any = AutoModelForCausalLM.from_pretrained(arguments.model_name_or_path, use_safetensors=True)
    model.to(device).eval()
    set_seed(arguments.seed)
    together = max(1, arguments.batch_size // arguments.samples)
    completions: list[list[str]] = []
    for start in tqdm(range(0, len(prompts), together), desc=f"pass@{arguments.samples}", unit="batch"):
        batch = prompts[start : start + together]
        inputs = tokenizer(batch, return_tensors="pt", padding=True).to(device)
        with torch.no_grad():
            ids = model.generate(
                **inputs, do_sample=True, temperature=arguments.temperature, top_k=0, top_p=1.0,
                num_return_sequences=arguments.samples, max_new_tokens=arguments.max_completion_length,
                pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
            )  # fmt: skip
        texts = tokenizer.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        completions += [texts[first : first + arguments.samples] for first in range(0, len(texts), arguments.samples)]
    return completions


def decide(rewards: np.ndarray, arguments: ReadinessArguments) -> dict[str, Any]:
    """Return the record of (prompts, samples) rewards: the estimates, the threshold, and whether GRPO may start."""
    from mulfact.evals.comparison.significance import pass_at_k

    right = (rewards == 1).sum(axis=1)
    mixed = float(((right > 0) & (right < arguments.samples)).mean())
    return {
        "prompts": len(right),
        "samples": arguments.samples,
        "pass_at_1": float(right.mean() / arguments.samples),
        "pass_at_k": float(pass_at_k(arguments.samples, right, arguments.samples).mean()),
        "mixed_groups": mixed,
        "threshold": arguments.threshold,
        "force": arguments.force,
        "ready": mixed >= arguments.threshold,
    }


if __name__ == "__main__":
    main()
