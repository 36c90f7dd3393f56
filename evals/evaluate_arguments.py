"""The settings of the `eval` section: what evaluate.py is told. Their values have one home: recipes/base.yaml."""

from dataclasses import dataclass, field


@dataclass
class EvalArguments:
    output_dir: str = field(metadata={"help": "Folder that receives one folder for each checkpoint."})
    benchmarks: str = field(metadata={"help": "Folder of the benchmarks stage."})
    tokenizer: str = field(metadata={"help": "Folder of the tokenizer that the checkpoints were trained with."})
    checkpoints: dict[str, str] = field(metadata={"help": "The checkpoints: name of the stage to model folder."})
    generation_size: dict[str, int] = field(metadata={"help": "Most tokens of a completion, by prompt style."})
    stop_sequences: dict[str, list[str]] = field(metadata={"help": "What ends a completion, by prompt style."})
    max_cut_prompts: float = field(metadata={"help": "Share of prompts that may not fit the window."})
    batch_size: int = field(metadata={"help": "Items in one batch."})
    use_stages: list[str] = field(metadata={"help": "Checkpoints that are also asked for the 2x2 of use (use.py)."})
    use_tasks: list[str] = field(metadata={"help": "Benchmarks that they are asked."})
    max_samples: int | None = field(metadata={"help": "Items of each benchmark; null: all."})
    use_cpu: bool = field(metadata={"help": "Stay on the CPU."})
