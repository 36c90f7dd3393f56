"""Upload a finished experiment: tokenizers, data, the checkpoints of each run and the report, in one collection.

    python release/push.py --org someone --shared_dir outputs/smoke --conditions baseline mulfact --seeds 0
    python release/push.py --org someone --shared_dir outputs/pilot --conditions mulfact --seeds 0 1 2 --public

Everything is put together and checked before anything is sent. What the Hub has already is not sent again, so that the
same command goes on after a broken connection and does nothing when nothing has changed. A repository that holds the
weights, the text or the tokenizer of another run is not overwritten unless --replace is given. The token comes from
`hf auth login` or HF_TOKEN; HF_ENDPOINT is honoured.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import LocalTokenNotFoundError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import disable_progress_bars
from huggingface_hub.utils import logging as hub_logging
from huggingface_hub.utils.sha import git_hash

from mulfact.command_line import Conditions, Seeds
from mulfact.errors import UserError, command
from mulfact.layout import TRAINED
from mulfact.provenance import hash_file
from mulfact.release.hub import persist, told_in_a_line
from mulfact.release.repositories import Kind, Repository, checkpoint_name, plan
from mulfact.release.staging import check_public, stage_files

if TYPE_CHECKING:
    from mulfact.release.cards import Cards

# The file by which a repository is known to be of this run or of another one.
IDENTITY: dict[Kind, str] = {
    "corpus": "train-00000.parquet", "posttrain": "sft/train.jsonl", "tokenizer": "tokenizer.json",
    "model": "model.safetensors",
}  # fmt: skip


@dataclass
class PushArguments:
    org: str = field(metadata={"help": "User or organisation on the Hub that owns the repositories."})
    shared_dir: Path = field(metadata={"help": "Folder of the scale, such as outputs/smoke."})
    conditions: list[str] = field(metadata={"help": "The arms whose runs are uploaded."})
    seeds: list[int] = field(metadata={"help": "The seeds whose runs are uploaded."})
    public: bool = field(default=False, metadata={"help": "Everyone may see the repositories; else they are private."})
    replace: bool = field(default=False, metadata={"help": "Overwrite checkpoints of another run of the same names."})


@command
def main() -> None:
    arguments = parse_arguments()
    from mulfact.release.cards import Cards  # with pandas, which takes seconds to import

    with tempfile.TemporaryDirectory() as scratch, told_in_a_line(f"push to {arguments.org}"):
        disable_progress_bars()
        hub_logging.set_verbosity_error()  # it warns when nothing has changed, which is the aim
        token = get_token()
        if token is None:
            raise LocalTokenNotFoundError
        api = HfApi(token=token)
        print(f"pushing as {persist(api.whoami)['name']} to {api.endpoint}/{arguments.org}", flush=True)
        cards = Cards(arguments.org, arguments.shared_dir, arguments.conditions, arguments.seeds)
        folders = stage_all(arguments, cards, Path(scratch), token)
        if not arguments.replace:
            check_same_runs(api, arguments.org, folders)
        for repository, folder in folders.items():
            send = push_point if repository.kind == "point" else push
            print(send(api, arguments, repository, folder, cards.protocol), flush=True)
            if arguments.replace and (repository.kind, repository.stage) == ("model", "pretrain"):
                drop_points(api, f"{arguments.org}/{repository.name}", folders)
        print(f"all in one collection: {collect(api, arguments, list(folders))}")
        for repo_id in left_over(api, cards):
            print(f"{repo_id} is on the Hub and not in this report: delete it there (hf repos delete {repo_id})")


def stage_all(arguments: PushArguments, cards: Cards, scratch: Path, token: str) -> dict[Repository, Path]:
    """Return each repository with its folder as it will be uploaded.

    Raises UserError for whatever may not be published or is not finished.
    """
    roots = [path for path in (Path.cwd(), Path.home(), arguments.shared_dir.resolve()) if len(path.parts) > 2]
    folders = {}
    for repository in plan(arguments.shared_dir, arguments.conditions, arguments.seeds, cards.stages):
        folder = folders[repository] = scratch / repository.name / repository.revision
        stage_files(repository, folder, arguments.shared_dir.parent)
        cards.write(repository, folder)
        check_public(repository, folder, [token], roots)
    return folders


def check_same_runs(api: HfApi, org: str, folders: dict[Repository, Path]) -> None:
    """Raise UserError when a repository on the Hub holds other weights, or what other checkpoints there may be made
    from, before anything is sent."""
    for repository, folder in folders.items():
        name = IDENTITY.get(repository.kind)
        if name is None:
            continue
        try:
            repo_id, repo_type = f"{org}/{repository.name}", repository.repo_type
            entries = persist(api.get_paths_info, repo_id, [name], repo_type=repo_type)
        except RepositoryNotFoundError:
            continue
        files = [entry for entry in entries if isinstance(entry, RepoFile)]
        if any(
            entry.lfs.sha256 != hash_file(folder / name)
            if entry.lfs
            else entry.blob_id != git_hash((folder / name).read_bytes())
            for entry in files
        ):
            raise UserError(
                f"{repo_id} on the Hub is of another run: its {name} is not that of "
                f"{repository.folder}. Nothing was sent. Run the other experiment under a scale of its own "
                "(recipes/scales/), push it to another ORG, or overwrite it with make push REPLACE=1"
            )


def push(api: HfApi, arguments: PushArguments, repository: Repository, folder: Path, protocol: str) -> str:
    """Make one repository what `folder` holds and let the protocol's tag name that revision; return what was done.

    What an earlier upload left there goes; what somebody added by hand stays.
    """
    repo_id, repo_type = f"{arguments.org}/{repository.name}", repository.repo_type
    sdk = {"space_sdk": "static"} if repo_type == "space" else {}
    persist(api.create_repo, repo_id, repo_type=repo_type, private=not arguments.public, exist_ok=True, **sdk)
    before = persist(api.repo_info, repo_id, repo_type=repo_type)
    if arguments.public and before.private:
        persist(api.update_repo_settings, repo_id, repo_type=repo_type, private=False)
    commit = persist(
        api.upload_folder,
        repo_id=repo_id,
        repo_type=repo_type,
        folder_path=folder,
        delete_patterns=repository.patterns,
        commit_message=f"Upload {repository.name}",
    )
    tag = f"protocol-{protocol[:12]}"
    set_tag(api, repo_id, repo_type, commit.oid, tag, f"docs/protocol.md with SHA-256 {protocol}")
    seen_by = "public" if arguments.public or not before.private else "private"
    return f"{repo_id} ({seen_by}): {'unchanged' if commit.oid == before.sha else commit.oid[:12]}, tag {tag}"


def push_point(api: HfApi, arguments: PushArguments, repository: Repository, folder: Path, protocol: str) -> str:
    """Make a branch of a checkpoint's repository what `folder` holds, and nothing else; return what was done."""
    repo_id, revision = f"{arguments.org}/{repository.name}", repository.revision
    branches = {ref.name: ref.target_commit for ref in persist(api.list_repo_refs, repo_id).branches}
    if revision not in branches:
        persist(api.create_branch, repo_id, branch=revision, exist_ok=True)
    commit = persist(
        api.upload_folder,
        repo_id=repo_id,
        folder_path=folder,
        revision=revision,
        delete_patterns="*",
        commit_message=f"Upload {repository.name} after {revision}",
    )
    return f"{repo_id}@{revision}: {'unchanged' if commit.oid == branches.get(revision) else commit.oid[:12]}"


def drop_points(api: HfApi, repo_id: str, repositories: Iterable[Repository]) -> None:
    """Remove the branches of weights on the way that are not among `repositories`: they are of the run before."""
    kept = {one.revision for one in repositories if repo_id.endswith(f"/{one.name}")}
    for ref in persist(api.list_repo_refs, repo_id).branches:
        if ref.name.startswith("step-") and ref.name not in kept:
            persist(api.delete_branch, repo_id, branch=ref.name)


def left_over(api: HfApi, cards: Cards) -> list[str]:
    """Return the checkpoints of these runs on the Hub of a stage that is not compared: the gate stopped it since."""
    stages = [stage for stage in TRAINED if stage not in cards.stages]
    names = [cards.repo_id(checkpoint_name(cards.scale, *run, stage)) for run in cards.runs for stage in stages]
    return [name for name in names if persist(api.repo_exists, name)]


def set_tag(api: HfApi, repo_id: str, repo_type: str, revision: str, tag: str, message: str) -> None:
    """Let `tag` name `revision`; where it named an older one it moves, and that one keeps its commit hash."""
    existing = {ref.name: ref.target_commit for ref in persist(api.list_repo_refs, repo_id, repo_type=repo_type).tags}
    if existing.get(tag) == revision:
        return
    if tag in existing:
        persist(api.delete_tag, repo_id, tag=tag, repo_type=repo_type)
    persist(
        api.create_tag, repo_id, tag=tag, tag_message=message, revision=revision, repo_type=repo_type, exist_ok=True
    )


def collect(api: HfApi, arguments: PushArguments, repositories: Sequence[Repository]) -> str:
    """Put the repositories that are not there yet into the experiment's collection; return its address."""
    collection = persist(
        api.create_collection,
        f"mulfact {arguments.shared_dir.name}",
        namespace=arguments.org,
        description="Multiplication facts as single tokens: models, data and report of one experiment.",
        private=not arguments.public,
        exists_ok=True,
    )
    if arguments.public and collection.private:
        persist(api.update_collection_metadata, collection.slug, private=False)
    present = {(item.item_type, item.item_id) for item in collection.items}
    for repository in repositories:
        if repository.kind == "point":
            continue
        item = (repository.repo_type, f"{arguments.org}/{repository.name}")
        if item not in present:
            persist(api.add_collection_item, collection.slug, item[1], item[0], exists_ok=True)
    return collection.url


def parse_arguments() -> PushArguments:
    parser = argparse.ArgumentParser(description="Upload a finished experiment to the Hugging Face Hub.")
    told = {setting.name: setting.metadata["help"] for setting in fields(PushArguments)}
    parser.add_argument("--org", required=True, help=told["org"])
    parser.add_argument("--shared_dir", type=Path, required=True, help=told["shared_dir"])
    parser.add_argument("--conditions", nargs="*", action=Conditions, required=True, help=told["conditions"])
    parser.add_argument("--seeds", nargs="*", action=Seeds, required=True, help=told["seeds"])
    parser.add_argument("--public", action="store_true", help=told["public"])
    parser.add_argument("--replace", action="store_true", help=told["replace"])
    return PushArguments(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
