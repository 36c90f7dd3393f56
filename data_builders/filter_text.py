"""Filter text that is too much for one machine's builder with datatrove, into files that `corpus.sources: files` takes.

    pip install -e '.[text]'
    python data_builders/filter_text.py --input data/web --output data/web-filtered --tasks 8 --workers 2

A recipe names what it writes: {name: web, weight: 1, files: [data/web-filtered/*.gz]}. datatrove is the engine of
Hugging Face for this. Here its local executor runs; on a cluster the same `pipeline(...)` is given to its
SlurmPipelineExecutor or RayPipelineExecutor. A folder may also be an address such as hf://datasets/<id>/<folder>. A
task reads whole files, so --tasks is at most their number. A second run skips the tasks that have finished.
"""

import argparse
import importlib.util
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mulfact.errors import UserError, command

if TYPE_CHECKING:
    from datatrove.data import Document
    from datatrove.pipeline.base import PipelineStep

READERS = {".jsonl": "JsonlReader", ".parquet": "ParquetReader"}
LOGS = "logs"  # below the output: what each task read, dropped and wrote


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Read, filter and write text with datatrove.")
    parser.add_argument("--input", required=True, help="folder with .jsonl (also .gz, .zst) or .parquet files")
    parser.add_argument("--output", required=True, help="folder that receives <task>.jsonl.gz")
    parser.add_argument("--text_column", default="text", help="name of the column with the text")
    parser.add_argument("--min_characters", type=int, default=200, help="of a document")
    parser.add_argument("--min_words_share", type=float, default=0.6, help="of its characters: letters, digits, blanks")
    parser.add_argument("--tasks", type=int, default=1, help="parts of the work, each with files of its own")
    parser.add_argument("--workers", type=int, default=1, help="tasks that run at a time")
    options = parser.parse_args()
    if importlib.util.find_spec("datatrove") is None:
        raise UserError("datatrove is not installed: pip install -e '.[text]'")
    steps = pipeline(
        options.input, options.output, options.text_column, options.min_characters, options.min_words_share
    )
    run(steps, options.output, options.tasks, options.workers)


def pipeline(
    source: str, target: str, text_column: str, min_characters: int, min_words_share: float
) -> "list[PipelineStep]":
    """Return the steps: a reader, the filters, a writer. One adds datatrove's own filters beside ours.

    Raises UserError for a folder without files of a known form, or with both.
    """
    from datatrove.pipeline import readers
    from datatrove.pipeline.filters import LambdaFilter
    from datatrove.pipeline.writers import JsonlWriter

    suffix = form_of(source)
    reader = getattr(readers, READERS[suffix])(source, text_key=text_column, glob_pattern=f"**/*{suffix}*")
    return [
        reader,
        LambdaFilter(partial(is_long, min_characters=min_characters)),
        LambdaFilter(partial(is_prose, min_words_share=min_words_share)),
        JsonlWriter(target, output_filename="${rank}.jsonl.gz"),
    ]


def form_of(source: str) -> str:
    """Return which of READERS a folder's files want."""
    from datatrove.io import get_datafolder

    names = get_datafolder(source).list_files(recursive=True) if "://" in source or Path(source).is_dir() else []
    forms = [suffix for suffix in READERS if any(suffix in Path(name).suffixes for name in names)]
    if len(forms) != 1:
        found = "both .jsonl and .parquet" if forms else "neither .jsonl nor .parquet"
        raise UserError(f"{source} holds {found} files: expected a folder with files of one form")
    return forms[0]


def is_long(document: "Document", min_characters: int) -> bool:
    return len(document.text) >= min_characters


def is_prose(document: "Document", min_words_share: float) -> bool:
    """Return whether enough of a document is letters, digits and blanks: no tables of signs, no markup."""
    plain = sum(character.isalnum() or character == " " for character in document.text)
    return plain >= min_words_share * len(document.text)


def run(steps: "list[PipelineStep]", target: str, tasks: int, workers: int) -> None:
    """Run the steps on this machine. Raises UserError when a task failed; datatrove has said which and why."""
    from datatrove.executor import LocalPipelineExecutor

    executor = LocalPipelineExecutor(steps, tasks=tasks, workers=workers, logging_dir=f"{target}/{LOGS}")
    try:
        executor.run()
    except Exception as error:  # datatrove passes on whatever a step raised
        raise UserError(
            f"{target}: a task failed ({type(error).__name__}: {error}); run the same command again"
        ) from error


if __name__ == "__main__":
    main()
