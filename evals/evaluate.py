"""Evaluate every checkpoint of one or more runs on every benchmark with lighteval, and keep every prediction.

    python evals/evaluate.py --config outputs/smoke/mulfact/seed-0/recipes/eval.yaml
    python evals/evaluate.py --config outputs/smoke/mulfact/seed-0/recipes/eval.yaml --max_samples 9 --output_dir /tmp/e
    python evals/evaluate.py --config outputs/pilot/*/seed-*/recipes/eval.yaml     # every arm and seed in one process

Greedy decoding in float32 on any device; prompts, completion lengths and stop sequences are the same for every arm, and
so is the order of the items. What is written, for each checkpoint: <family>_results.json and predictions.parquet. A run
that is evaluated already, by the same recipe on the same inputs, is left alone; one that cannot be evaluated does not
stop the others. A run whose gate stopped GRPO (modeling/gate.py) is evaluated after pretraining and SFT.
"""

from mulfact.errors import UserError, command
from mulfact.evals.evaluate_arguments import EvalArguments
from mulfact.settings import parse_each


@command
def main() -> None:
    runs = parse_each(EvalArguments)
    # torch and lighteval take seconds, which --help and a mistake in the settings do not wait for.
    from mulfact.evals.evaluation.run import check_folders, evaluate_run, silence_libraries

    check_folders(runs)
    silence_libraries()
    failed: list[str] = []
    for arguments in runs:
        try:
            evaluate_run(arguments)
        except UserError as error:
            failed.append(str(error))
    if failed:
        finished = f" ({len(runs) - len(failed)} of {len(runs)} runs are evaluated)" if len(runs) > 1 else ""
        raise UserError("; ".join(failed) + finished)


if __name__ == "__main__":
    main()
