"""How long the whole evaluation of one checkpoint takes, for a model of any size, by task.

    python benchmarks/evaluation_speed.py --use_cpu --n_layer 4 --n_embd 128 --max_samples 64   # the tiny one, a minute
    python benchmarks/evaluation_speed.py --benchmarks outputs/gpt2_124m/benchmarks \\
        --tokenizer outputs/gpt2_124m/mulfact/tokenizer --n_layer 12 --n_embd 768 --batch_size 512

The weights are random, so nearly every completion runs to its full length: no trained model of this size takes longer.
Only the pass itself is timed, not the imports before it (about ten seconds, once for all checkpoints of a process).
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import torch
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from mulfact.errors import UserError, command
from mulfact.evals.evaluate_arguments import EvalArguments
from mulfact.evals.evaluation.run import check_recipe, evaluate, silence_libraries
from mulfact.evals.evaluation.tasks import read_benchmarks
from mulfact.settings import base_settings
from mulfact.tokenizers.facts import TOKENIZER_FILES, read_facts


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Time the evaluation of an untrained GPT-2 on every benchmark.")
    parser.add_argument("--benchmarks", default="outputs/smoke/benchmarks", help="what `make benchmarks` wrote")
    parser.add_argument("--tokenizer", default="outputs/smoke/mulfact/tokenizer", help="what `make tokenizer` wrote")
    parser.add_argument("--n_layer", type=int, default=12)
    parser.add_argument("--n_embd", type=int, default=768, help="heads have 64 dimensions, or 32 below 256")
    parser.add_argument("--cot_tokens", type=int, default=256, help="most tokens of a chain of thought")
    parser.add_argument("--batch_size", type=int, default=512)
    parser.add_argument("--max_samples", type=int, help="items of each benchmark; all of them if not given")
    parser.add_argument("--use_cpu", action="store_true")
    options = parser.parse_args()
    if not options.use_cpu and not torch.cuda.is_available():
        raise UserError("torch sees no GPU here; add --use_cpu")

    benchmarks = read_benchmarks(options.benchmarks)
    with tempfile.TemporaryDirectory() as folder:
        parameters = write_untrained(Path(folder), options)
        changes = {
            "output_dir": folder,
            "benchmarks": options.benchmarks,
            "tokenizer": options.tokenizer,
            "checkpoints": {"untrained": folder},
            "generation_size": {"cot": options.cot_tokens, "direct": 24},
            "batch_size": options.batch_size,
            "max_samples": options.max_samples,
            "use_stages": [],
            "use_tasks": [],
            "use_cpu": options.use_cpu,
        }
        arguments = EvalArguments(**base_settings("eval") | changes)
        check_recipe(arguments, benchmarks)
        silence_libraries()
        started = time.monotonic()
        try:
            rows, _ = evaluate(folder, benchmarks, arguments, 1024 - options.cot_tokens, used=[])
        except UserError as error:  # its advice is for recipes; here the settings are options
            raise UserError(str(error).replace("eval.batch_size", "--batch_size")) from error
    items = sum(map(len, rows.values()))
    device = "CPU" if options.use_cpu else torch.cuda.get_device_name()
    peak = "" if options.use_cpu else f", {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB at most"
    print(f"{parameters / 1e6:.1f}M parameters, {items:,} items: {time.monotonic() - started:.0f} s on {device}{peak}")


def write_untrained(folder: Path, options: argparse.Namespace) -> int:
    """Write a GPT-2 with random weights and the tokenizer beside it; return the number of its parameters."""
    tokenizer = AutoTokenizer.from_pretrained(options.tokenizer, local_files_only=True)
    config = GPT2Config(
        vocab_size=read_facts(options.tokenizer).vocab_size,
        n_positions=1024,
        n_embd=options.n_embd,
        n_layer=options.n_layer,
        n_head=options.n_embd // (64 if options.n_embd >= 256 else 32),
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(0)
    model = GPT2LMHeadModel(config)
    model.save_pretrained(folder)
    for path in Path(options.tokenizer).iterdir():
        if path.name in TOKENIZER_FILES:
            shutil.copy(path, folder)
    return sum(weights.numel() for weights in model.parameters())


if __name__ == "__main__":
    main()
