"""The settings of data_builders/corpus.py: the section corpus of a recipe."""

from dataclasses import dataclass, field

from mulfact.data_builders.sources.settings import SourceSettings, from_mapping
from mulfact.data_builders.synthetic.documents import SECTION, SyntheticSettings
from mulfact.errors import UserError


@dataclass
class CorpusArguments:
    output_dir: str = field(metadata={"help": "Folder of the parquet files and manifest.json."})
    sources: list[dict] = field(metadata={"help": "Names, weights and places: SourceSettings in sources/settings.py."})
    seed: int = field(metadata={"help": "Of the synthetic text and of the order of documents."})
    target_bytes: int = field(metadata={"help": "Of training text, in UTF-8."})
    validation_fraction: float = field(metadata={"help": "Of documents, held out by document hash."})
    min_fact_count: int = field(metadata={"help": "Of each 1-9 fact in the training text."})
    max_duplicate_fraction: float = field(metadata={"help": "Of documents; duplicates are left out."})
    benchmarks: str | None = field(
        metadata={"help": "Folder of benchmarks whose items training text must not hold; null: no check."}
    )
    overlap: str = field(metadata={"help": "refuse | drop training documents that hold an item."})
    allow_overlap: list[str] = field(metadata={"help": "Benchmarks whose overlap is accepted."})
    shard_bytes: int = field(metadata={"help": "Of training text in a shard: memory grows with it."})
    num_workers: int = field(metadata={"help": "Processes that generate, hash and count."})
    synthetic: dict = field(metadata={"help": "SyntheticSettings in synthetic/documents.py."})

    def __post_init__(self) -> None:
        for key in ("target_bytes", "shard_bytes", "num_workers"):
            if getattr(self, key) < 1:
                raise UserError(f"corpus.{key} is {getattr(self, key)}: expected at least 1")
        if not 0 < self.validation_fraction < 1:
            raise UserError(f"corpus.validation_fraction is {self.validation_fraction}: expected above 0 and below 1")
        if self.overlap not in ("refuse", "drop"):
            raise UserError(f"corpus.overlap is {self.overlap!r}: expected refuse or drop")
        self.read_sources()
        self.read_synthetic()

    def read_sources(self) -> list[SourceSettings]:
        """Return the settings of the sources. Raises UserError for an unknown key or a name used twice."""
        sources = [from_mapping(SourceSettings, one, "corpus.sources") for one in self.sources]
        names = [source.name for source in sources]
        if not sources or len(set(names)) < len(names) or len(names) > 256:
            raise UserError(f"corpus.sources has the names {names}: expected 1 to 256 sources, each with its own name")
        return sources

    def read_synthetic(self) -> SyntheticSettings:
        """Return the settings of the generator. Raises UserError for an unknown key or what cannot be written."""
        return from_mapping(SyntheticSettings, self.synthetic, SECTION)
