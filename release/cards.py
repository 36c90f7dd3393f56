"""The card of each repository: made from provenance, ledger and results, with metadata that the Hub understands.

    Cards(org, shared_dir, conditions, seeds).write(repository, folder)    # adds README.md to a staged folder

The templates hold the words; numbers are formatted as in the report. Nothing in a card depends on the day it was made.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from huggingface_hub import DatasetCardData, EvalResult, ModelCard, ModelCardData
from jinja2 import FileSystemLoader

from mulfact.errors import UserError
from mulfact.evals.report.filters import make_environment
from mulfact.layout import output_of, output_of_run, report_folder, run_folder, run_level
from mulfact.modeling.posttraining.adapter import ADAPTER
from mulfact.modeling.posttraining.readiness_record import RECORD, read_record, sentence
from mulfact.provenance import input_hash, read_provenance
from mulfact.release.eval_results import write_eval_results
from mulfact.release.repositories import POINT, Repository, checkpoint_name, points, shared_name, tokenizer_name
from mulfact.tokenizers.card import description
from mulfact.tokenizers.facts import read_facts

TEMPLATES = Path(__file__).resolve().parent / "templates"
LICENSE = "mit"  # of everything that this project makes; data from elsewhere keeps its own
TRAINED_BY = {
    "pretrain": "pretraining from scratch",
    "sft": "supervised fine-tuning (TRL)",
    "grpo": "reinforcement learning (TRL's GRPO, reward 1 for the right final answer)",
}


class Cards:
    """Writes the cards of one experiment, whose report must be finished.

    Raises UserError when the report does not cover the runs, or is about other checkpoints or data than lie there now.
    """

    def __init__(self, org: str, shared_dir: Path, conditions: Sequence[str], seeds: Sequence[int]) -> None:
        self.org, self.shared_dir, self.scale = org, shared_dir, shared_dir.name
        self.conditions, self.seeds = list(conditions), list(seeds)
        self.runs = [(condition, seed) for condition in conditions for seed in seeds]
        report = read_provenance(report_folder(shared_dir))
        input_hash(report_folder(shared_dir))  # one that was cut short is told before it is read
        self.results: dict[str, Any] = json.loads((report_folder(shared_dir) / "results.json").read_text())
        for condition, seed in self.runs:
            check_run(report, shared_dir, condition, seed, self.stages)
        # Strata of them are in the results too, but no sets by themselves.
        self.benchmarks = json.loads((output_of(shared_dir, "benchmarks") / "manifest.json").read_text())["benchmarks"]
        self.environment = make_environment()
        self.environment.loader = FileSystemLoader(TEMPLATES)

    @property
    def stages(self) -> list[str]:
        """The stages that the report compares, whose checkpoints are published."""
        return self.results["stages"]

    @property
    def protocol(self) -> str:
        """SHA-256 of docs/protocol.md as the report was made by it."""
        return self.results["protocol"]["sha256"]

    def repo_id(self, name: str) -> str:
        return f"{self.org}/{name}"

    def write(self, repository: Repository, folder: Path) -> None:
        """Write README.md into the staged `folder` of `repository`."""
        writers = {
            "model": self.model_card, "tokenizer": self.tokenizer_card, "report": self.report_card,
            "corpus": self.dataset_card, "posttrain": self.dataset_card, "benchmarks": self.dataset_card,
            "point": self.point_card, "playground": self.playground_card,
        }  # fmt: skip
        text = writers[repository.kind](repository, folder)
        (folder / "README.md").write_text(text.rstrip() + "\n", encoding="utf-8")

    def render(self, template: str, repository: Repository, **context: Any) -> str:
        shared = {
            "repo_id": self.repo_id(repository.name),
            "name": repository.name,
            "repository": repository,
            "results": self.results,
            "protocol": self.protocol,
            "report_id": self.repo_id(shared_name(self.scale, "report")),
            "provenance": read_provenance(repository.recorded_in),
            "level": f"{self.results['confidence_level']:.0%}",
        }
        return self.environment.get_template(template).render(shared | context)

    # ------------------------------------------------------------ models

    def model_card(self, repository: Repository, folder: Path) -> str:
        condition, seed, stage = repository.condition, repository.seed, repository.stage
        assert condition is not None
        assert seed is not None
        assert stage is not None
        ledger = json.loads(output_of(repository.folder.parent, "ledger").read_text())["stages"][stage]
        facts = read_facts(folder)
        rows = [row for row in self.results["accuracy"] if (row["condition"], row["stage"]) == (condition, stage)]
        differences = {
            row["task"]: row
            for row in self.results["differences"]
            if (row["condition"], row["stage"]) == (condition, stage)
        }
        place = self.stages.index(stage)
        previous = self.stages[place - 1] if place else None
        data = ["corpus"] if stage == "pretrain" else ["posttrain"]
        readiness = sentence(read_record(folder)) if (folder / RECORD).is_file() else None
        metadata = ModelCardData(
            language=["en"],
            license=LICENSE,
            library_name="transformers",
            pipeline_tag="text-generation",
            tags=["mulfact", "gpt2", "arithmetic", *([f"{stage}"] if stage != "pretrain" else [])],
            base_model=self.repo_id(checkpoint_name(self.scale, condition, seed, previous)) if previous else None,
            datasets=[self.repo_id(shared_name(self.scale, kind)) for kind in data],  # type: ignore[arg-type]
            model_name=repository.name,
            eval_results=[self.eval_result(row, seed) for row in rows if row["task"] in self.benchmarks],
        )
        benchmarks = output_of(self.shared_dir, "benchmarks")
        write_eval_results(folder, benchmarks, rows, seed, self.repo_id(shared_name(self.scale, "report")))
        return self.render(
            "model.md.j2",
            repository,
            metadata=metadata.to_yaml(),
            trained_by=TRAINED_BY[stage],
            previous=metadata.base_model,
            readiness=readiness,
            adapter=ADAPTER if (folder / ADAPTER).is_dir() else None,
            data=metadata.datasets,
            tokenizer_id=self.repo_id(tokenizer_name(self.scale, condition)),
            tokenizer_kind=description(facts.settings),
            facts=facts,
            ledger=ledger,
            rows=rows,
            differences=differences,
            points=points(self.shared_dir, condition, seed) if stage == "pretrain" else [],
        )

    def point_card(self, repository: Repository, folder: Path) -> str:
        """Return the card of the weights on the way. Raises UserError when a file of the curve was cut short."""
        input_hash(repository.recorded_in)
        metadata = ModelCardData(license=LICENSE, library_name="transformers", pipeline_tag="text-generation")
        point = json.loads((folder / POINT).read_text())
        return self.render("point.md.j2", repository, metadata=metadata.to_yaml(), point=point)

    def eval_result(self, row: dict[str, Any], seed: int) -> EvalResult:
        """Return one row of the table as the Hub's model index states it: this seed's own accuracy in percent."""
        return EvalResult(
            task_type="text-generation",
            dataset_type=self.repo_id(shared_name(self.scale, "benchmarks")),
            dataset_name=self.benchmarks[row["task"]]["description"],  # the task's name may make one think of GSM8K
            dataset_config=row["task"],  # without it, the tasks would be taken for one
            dataset_split="test",
            metric_type="exact_match",
            metric_name="exact match in %",
            metric_value=round(100 * row["seeds"][str(seed)], 2),
        )

    def tokenizer_card(self, repository: Repository, folder: Path) -> str:
        """Return the card that the tokenizer stage wrote, under the name of the repository."""
        card = ModelCard(read_card(repository.folder).replace("<this repository>", self.repo_id(repository.name)))
        card.data["license"] = LICENSE
        return self.render("stage_card.md.j2", repository, card=str(card).rstrip())

    # ------------------------------------------------------------ data

    def dataset_card(self, repository: Repository, folder: Path) -> str:
        """Return the card that the stage of a set wrote, under the name of the repository."""
        text = read_card(repository.folder).replace("FOLDER_OR_ID", f'"{self.repo_id(repository.name)}"')
        return self.render("stage_card.md.j2", repository, card=text.rstrip())

    def report_card(self, repository: Repository, folder: Path) -> str:
        """Return the card of the report, and write its two tables as rows beside it.

        `datasets` reads one format in a repository, and the predictions are Parquet.
        """
        for table in ("accuracy", "differences"):
            pq.write_table(pa.Table.from_pylist(self.results[table]), folder / f"{table}.parquet")
        configs: list[dict[str, Any]] = [
            {"config_name": table, "data_files": [{"split": "test", "path": f"{table}.parquet"}]}
            for table in ("accuracy", "differences")
        ]
        configs[0]["default"] = True
        for condition, seed in self.runs:
            path = f"runs/{run_level(condition, seed)}/eval"
            files = [{"split": stage, "path": f"{path}/{stage}/predictions.parquet"} for stage in self.stages]
            configs.append({"config_name": f"{condition}-seed{seed}", "data_files": files})
        metadata = DatasetCardData(
            language=["en"], license=LICENSE, pretty_name=repository.name, tags=["mulfact"], configs=configs
        )
        summary = (folder / "results.md").read_text(encoding="utf-8").strip()
        published = {"conditions": self.conditions, "seeds": self.seeds}
        return self.render(
            "report.md.j2", repository, metadata=metadata.to_yaml(), summary=summary, published=published
        )

    # ------------------------------------------------------------ the page

    def playground_card(self, repository: Repository, folder: Path) -> str:
        """Return the card of the Space. Raises UserError when the page shows other tokenizers or numbers than these."""
        record = read_provenance(repository.folder)
        arms = record["recipe"]["conditions"]
        shown = [report_folder(self.shared_dir), *(output_of(self.shared_dir / arm, "tokenizer") for arm in arms)]
        missing = {condition for condition, _ in self.runs} - set(arms)
        if missing or any(recorded_input(record, self.shared_dir, one) != input_hash(one) for one in shown):
            raise UserError(
                f"{repository.folder} is not of these arms and this report: run make playground SCALE={self.scale} "
                f'CONDITIONS="{" ".join(dict.fromkeys(condition for condition, _ in self.runs))}" first'
            )
        models = [self.repo_id(tokenizer_name(self.scale, condition)) for condition in arms]
        metadata = {
            "title": repository.name, "emoji": "✖️", "colorFrom": "yellow", "colorTo": "blue", "sdk": "static",
            "license": LICENSE, "short_description": "One text in the tokens of every arm", "models": models,
            "datasets": [self.repo_id(shared_name(self.scale, "report"))],
        }  # fmt: skip
        text = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True).strip()
        return self.render("playground.md.j2", repository, metadata=text)


def read_card(folder: Path) -> str:
    """Return the card that a stage wrote beside its output. Raises UserError when there is none."""
    path = folder / "README.md"
    if not path.is_file():
        raise UserError(f"{path} is missing: delete {folder} and run make {folder.name} again")
    return path.read_text(encoding="utf-8")


def check_run(report: dict[str, Any], shared_dir: Path, condition: str, seed: int, stages: Sequence[str]) -> None:
    """Raise UserError when the report's numbers are not those of the checkpoints that lie there now, or these not of
    the tokenizer and the data beside them. The tokens, which are not published, may be gone."""
    run = run_folder(shared_dir, condition, seed)
    command = f"make compare SCALE={shared_dir.name} CONDITIONS=... SEEDS=..."
    if recorded_input(report, shared_dir, output_of(run, "eval")) is None:
        raise UserError(f"{report_folder(shared_dir)} does not cover {condition} with seed {seed}: run {command} first")
    made_from = {
        "eval": ["benchmarks", "tokenizer", *stages],
        "pretrain": ["tokens"],
        "tokens": ["corpus", "tokenizer"],
        "sft": ["posttrain"],
    }
    if not output_of_run(run, "tokens").exists():
        del made_from["pretrain"], made_from["tokens"]
    checks = [(report, output_of(run, "eval"))]
    for stage, inputs in made_from.items():
        record = read_provenance(output_of_run(run, stage))
        checks += [(record, output_of_run(run, name)) for name in inputs]
    for record, folder in checks:
        if recorded_input(record, shared_dir, folder) != input_hash(folder):
            raise UserError(f"{folder} is not what {record['stage']} was made from: run {command} first")


def recorded_input(record: dict[str, Any], shared_dir: Path, folder: Path) -> str | None:
    """Return the hash under which a stage recorded `folder` as its input; the outputs may have been moved since."""
    tail = folder.relative_to(shared_dir).as_posix()
    return next((value for path, value in record["inputs"].items() if ("/" + path).endswith("/" + tail)), None)
