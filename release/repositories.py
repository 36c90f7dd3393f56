"""Which folders of an experiment become which repositories on the Hub, and under which names.

    python -c "from pathlib import Path; from mulfact.release.repositories import plan; \\
        print(*plan(Path('outputs/smoke'), ['baseline', 'mulfact'], [0], ['pretrain', 'sft', 'grpo']), sep='\\n')"

Only what is named here is ever uploaded: no training state, no token shards, nothing that is not part of the record.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mulfact.layout import curve_folder, output_of, playground_folder, report_folder, run_folder, run_level
from mulfact.modeling.posttraining import adapter
from mulfact.provenance import LAUNCH, PROVENANCE
from mulfact.tokenizers.facts import TOKENIZER_FILES

MODEL_FILES = (
    "config.json", "generation_config.json", "model.safetensors", "model-*.safetensors", "model.safetensors.index.json",
)  # fmt: skip
ADAPTER_FILES = tuple(f"{adapter.ADAPTER}/{name}" for name in adapter.ADAPTER_FILES)
RECORDS = (
    "metrics.jsonl", "training_summary.json", "trainer_state.json", "lengths.json", "readiness.json",
    "peak_memory.json", LAUNCH, PROVENANCE,
)  # fmt: skip

EVAL_RESULTS = ".eval_results"  # beside the card of a checkpoint (eval_results.py)
PLAYGROUND_FILES = ("*.html", "*.css", "*.js", "*.LICENSE")
POINT = "point.json"  # of a curve: how much was read up to it

Kind = Literal["tokenizer", "corpus", "posttrain", "benchmarks", "model", "point", "report", "playground"]
REPO_TYPES: dict[Kind, Literal["model", "dataset", "space"]] = {
    "tokenizer": "model",  # it is loaded like one, by AutoTokenizer
    "model": "model", "point": "model", "playground": "space",
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """Files of one folder: glob patterns within it, and the folder of the repository that they go to."""

    folder: Path
    patterns: tuple[str, ...]
    prefix: str = ""


@dataclass(frozen=True)
class Repository:
    """One repository to be, or a further revision of one, which holds other files.

    `condition`, `seed` and `stage` are those of a checkpoint; a tokenizer has a condition.
    """

    name: str
    kind: Kind
    sources: tuple[Source, ...]
    condition: str | None = None
    seed: int | None = None
    stage: str | None = None
    revision: str = "main"

    @property
    def folder(self) -> Path:
        """The stage folder that this repository stands for."""
        return self.sources[0].folder

    @property
    def recorded_in(self) -> Path:
        """The folder whose provenance the card tells: a point's is its curve's, the playground's the report's."""
        if self.kind == "playground":
            return report_folder(self.folder.parent)
        return self.folder.parent if self.kind == "point" else self.folder

    @property
    def patterns(self) -> list[str]:
        """Glob patterns of its files in the repository: what matches and is not uploaded is of an earlier upload."""
        own = [f"{source.prefix}/{name}".lstrip("/") for source in self.sources for name in source.patterns]
        return [*own, f"{EVAL_RESULTS}/*"]

    @property
    def repo_type(self) -> Literal["model", "dataset", "space"]:
        return REPO_TYPES.get(self.kind, "dataset")


def plan(shared_dir: Path, conditions: Sequence[str], seeds: Sequence[int], stages: Sequence[str]) -> list[Repository]:
    """Return the repositories of an experiment, what others are made from first; `stages` are those of its report."""
    scale = shared_dir.name
    return [
        corpus(shared_dir),
        posttrain(shared_dir),
        benchmarks(shared_dir),
        *(tokenizer(shared_dir, condition) for condition in conditions),
        *(
            repository
            for condition in conditions
            for seed in seeds
            for stage in stages
            for repository in (
                checkpoint(shared_dir, condition, seed, stage),
                *(points(shared_dir, condition, seed) if stage == "pretrain" else ()),
            )
        ),
        report(shared_dir, scale, conditions, seeds),
        playground(shared_dir),
    ]


def checkpoint_name(scale: str, condition: str, seed: int, stage: str) -> str:
    return f"mulfact-{scale}-{condition}-seed{seed}-{stage}"


def tokenizer_name(scale: str, condition: str) -> str:
    return f"mulfact-{scale}-{condition}-tokenizer"


def shared_name(scale: str, kind: Kind) -> str:
    return f"mulfact-{scale}-{kind}"


def corpus(shared_dir: Path) -> Repository:
    source = Source(output_of(shared_dir, "corpus"), ("*.parquet", "manifest.json", "provenance.json"))
    return Repository(shared_name(shared_dir.name, "corpus"), "corpus", (source,))


def posttrain(shared_dir: Path) -> Repository:
    patterns = ("sft/*.jsonl", "grpo/*.jsonl", "manifest.json", "provenance.json")
    return Repository(
        shared_name(shared_dir.name, "posttrain"), "posttrain", (Source(output_of(shared_dir, "posttrain"), patterns),)
    )


def benchmarks(shared_dir: Path) -> Repository:
    source = Source(output_of(shared_dir, "benchmarks"), ("*.jsonl", "manifest.json", "provenance.json"))
    return Repository(shared_name(shared_dir.name, "benchmarks"), "benchmarks", (source,))


def tokenizer(shared_dir: Path, condition: str) -> Repository:
    source = Source(output_of(shared_dir / condition, "tokenizer"), (*TOKENIZER_FILES, "provenance.json"))
    return Repository(tokenizer_name(shared_dir.name, condition), "tokenizer", (source,), condition)


def checkpoint(shared_dir: Path, condition: str, seed: int, stage: str) -> Repository:
    folder = output_of(run_folder(shared_dir, condition, seed), stage)
    source = Source(folder, (*MODEL_FILES, *ADAPTER_FILES, *TOKENIZER_FILES, *RECORDS))
    return Repository(
        checkpoint_name(shared_dir.name, condition, seed, stage), "model", (source,), condition, seed, stage
    )


def points(shared_dir: Path, condition: str, seed: int) -> list[Repository]:
    """The weights on the way of a pretraining, each a revision of its checkpoint's repository: step-000480."""
    name = checkpoint_name(shared_dir.name, condition, seed, "pretrain")
    folders = sorted(curve_folder(run_folder(shared_dir, condition, seed)).glob("step-*"))
    patterns = (*MODEL_FILES, *TOKENIZER_FILES, POINT)
    return [
        Repository(name, "point", (Source(folder, patterns),), condition, seed, "pretrain", revision=folder.name)
        for folder in folders
    ]


def playground(shared_dir: Path) -> Repository:
    source = Source(playground_folder(shared_dir), PLAYGROUND_FILES)
    return Repository(shared_name(shared_dir.name, "playground"), "playground", (source,))


def report(shared_dir: Path, scale: str, conditions: Sequence[str], seeds: Sequence[int]) -> Repository:
    """The report with, for each run, every prediction and the ledger: what the numbers were made from."""
    files = ("results.json", "results.md", "report.html", "figures/*.png", "provenance.json")
    sources = [Source(report_folder(shared_dir), files)]
    for condition in conditions:
        for seed in seeds:
            run, prefix = run_folder(shared_dir, condition, seed), f"runs/{run_level(condition, seed)}"
            evaluation = ("*/predictions.parquet", "*/*_results.json", "provenance.json")
            sources.append(Source(output_of(run, "eval"), evaluation, f"{prefix}/eval"))
            sources.append(Source(run, ("ledger.json",), prefix))
    return Repository(shared_name(scale, "report"), "report", tuple(sources))
