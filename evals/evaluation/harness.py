"""How lighteval runs a checkpoint: in this process, offline, on our tasks only, and without its cache.

    with torch.no_grad():
        model = load_checkpoint("outputs/smoke/mulfact/seed-0/sft_final", 64, "cpu", prompt_limit=864, scratch=folder)
        outcomes = run_task(model, task_config(benchmark, 160, ["\\nQuestion:"]), benchmark.items, None, print)

lighteval 0.13 as it comes would ask the Hub for the model's name, load (and download for) all of its built-in tasks,
serve old predictions from a cache whose key ignores the weights, and cut a prompt that is longer in tokens than the one
with the most characters. It would also decode every row at every step to look for a stop sequence, and keep the scores
of every step (27 GB for 512 completions of 256 tokens of GPT-2). The small subclasses here change these things, and no
prediction.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from mulfact.data_builders.problems.items import Item
from mulfact.errors import UserError
from mulfact.evals.evaluation.tasks import SPLIT, gold_of, item_of
from mulfact.evals.grading.answers import text_before
from mulfact.tokenizers.encode import plain_tokenizer

with torch.no_grad():  # lighteval switches gradients off for the whole process; leaving the block restores them
    from lighteval.logging.evaluation_tracker import EvaluationTracker
    from lighteval.models.model_input import GenerationParameters
    from lighteval.models.model_output import ModelResponse
    from lighteval.models.transformers.transformers_model import TransformersModel, TransformersModelConfig
    from lighteval.pipeline import ParallelismManager, Pipeline, PipelineParameters
    from lighteval.tasks.lighteval_task import LightevalTaskConfig
    from lighteval.tasks.registry import Registry
    from lighteval.tasks.requests import Doc


class CheckpointConfig(TransformersModelConfig):
    """A model that lies on disk: its name is not looked up on the Hub."""

    def get_model_sha(self) -> str:
        return ""


LOGIT_BYTES = 2**31  # of one copy of the logits at all positions of a batch, when gold completions are scored


class Checkpoint(TransformersModel):
    """lighteval's transformers model, kept from task to task, uncached; `advance` hears of every finished batch."""

    advance: Callable[[int], Any]
    folder: str
    plain_tokenizer: PreTrainedTokenizerFast  # its own without the rewriting: reads plainly, decodes the same
    restriction: str = ""  # what is kept from it now, in words

    @property
    def disable_tqdm(self) -> bool:
        return True

    def cleanup(self) -> None:
        """Keep the weights: the next task needs them."""

    @contextmanager
    def restricted(self, plain_prompts: bool, suppressed: Sequence[int]) -> Iterator[None]:
        """Encode prompts without the arm's rewriting, if asked to, and never generate the ids of `suppressed`."""
        tokenizer = self._tokenizer
        if plain_prompts:
            self._tokenizer: Any = self.plain_tokenizer
            self.restriction = ", plain prompts"
        if suppressed:
            self.restriction += ", no fact tokens"
        self.generation_config_dict["suppress_tokens"] = list(suppressed) or None
        try:
            yield
        finally:
            self._tokenizer, self.restriction = tokenizer, ""
            del self.generation_config_dict["suppress_tokens"]

    def greedy_until(self, docs: list[Doc]) -> list[ModelResponse]:
        return self._padded_greedy_until(docs)

    def loglikelihood(self, docs: list[Doc]) -> list[ModelResponse]:
        """Score the gold completions behind what of them is given, in batches whose logits fit into LOGIT_BYTES."""
        docs = [replace(doc, query=doc.query + gold_of(doc).given) for doc in docs]
        config, longest = (
            self.config,
            max(len(ids) for ids in self.tokenizer([full_text(doc) for doc in docs])["input_ids"]),
        )
        rows = max(1, LOGIT_BYTES // (4 * longest * self.model.config.vocab_size))
        self.config = config.model_copy(update={"batch_size": min(config.batch_size, rows)})
        try:
            return [with_lists(response) for response in self._loglikelihood_tokens(docs)]
        finally:
            self.config = config

    def _generate(self, continuous_batching: bool, **batch: Any) -> list[ModelResponse]:
        """Generate a batch; each row ends at its own eos or stop sequence, which transformers finds in the ids."""
        _, *stop_sequences = batch.pop("stop_tokens")  # the first is the eos
        self.generation_config_dict |= {
            "stop_strings": stop_sequences or None,
            "tokenizer": self.tokenizer,
            "output_scores": False,
        }
        responses = [with_lists(r) for r in super()._generate(continuous_batching, stop_tokens=[], **batch)]
        for response in responses:
            response.text = [text_before(text, stop_sequences) for text in response.text]
        self.advance(len(responses))
        return responses


def with_lists(response: ModelResponse) -> ModelResponse:
    """Turn ids in tensors into lists: lighteval prints them to hash them, which takes a tensor longer."""
    response.input_tokens = torch.as_tensor(response.input_tokens).tolist()
    response.output_tokens = [torch.as_tensor(ids).tolist() for ids in response.output_tokens]
    return response


def full_text(doc: Doc) -> str:
    """Return prompt and gold completion."""
    return doc.query + doc.choices[0]


class TaskRegistry(Registry):
    """lighteval's registry with one task in it, and none of the built-in ones."""

    def __init__(self, config: LightevalTaskConfig) -> None:
        self._task_registry = {config.name: config}
        self.tasks_list = [f"{config.name}|0"]
        self.task_to_configs = self._update_task_configs()


class TaskPipeline(Pipeline):
    """lighteval's pipeline for one task whose items are given in memory."""

    def __init__(self, config: LightevalTaskConfig, items: Sequence[Item], **arguments: Any) -> None:
        self.config, self.items = config, items
        super().__init__(tasks=config.name, **arguments)

    def _init_tasks_and_requests(self, tasks: str) -> None:
        self.registry = TaskRegistry(self.config)
        self.tasks_dict = self.registry.load_tasks()
        self.documents_dict, self.sampling_docs = {}, defaultdict(list)
        for name, task in self.tasks_dict.items():
            task.dataset = {SPLIT: [{"item": item} for item in self.items]}
            self.documents_dict[name] = task.get_docs(self.pipeline_parameters.max_samples)
            for doc in self.documents_dict[name]:
                for sampling_method in doc.sampling_methods:
                    self.sampling_docs[sampling_method].append(doc)
        self.evaluation_tracker.task_config_logger.log(self.tasks_dict)


@dataclass(frozen=True)
class Outcome:
    """What a checkpoint made of one item.

    The text goes up to the first stop sequence; the ids are as generated, the padding of their batch included.
    """

    item: Item
    text: str
    generated_ids: list[int]
    metrics: dict[str, Any]


def load_checkpoint(
    folder: str | Path, batch_size: int, device: str, prompt_limit: int, scratch: str | Path
) -> Checkpoint:
    """Return a checkpoint in float32, with the tokenizer beside it; a prompt over `prompt_limit` tokens loses its head.

    lighteval makes files in `scratch`, which must be new. Raises UserError when the folder holds no readable model.
    """
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"{folder} holds no readable model ({error}); run the stage that writes it again") from error
    config = CheckpointConfig(
        model_name="checkpoint",  # a path would become part of lighteval's cache path
        tokenizer=str(folder),
        batch_size=batch_size,
        device=device,
        cache_dir=str(scratch),
        # Not the length of a completion, which is the task's generation_size: lighteval uses this number only as the
        # length that prompts are cut to, and without it cuts them to that of the prompt with the most characters.
        generation_parameters=GenerationParameters(max_new_tokens=prompt_limit),
    )
    checkpoint = Checkpoint.from_model(model.to(device), config)  # type: ignore[arg-type]  # `to` is wrapped without types
    assert isinstance(checkpoint, Checkpoint)
    own, checkpoint.folder = checkpoint.tokenizer, str(folder)
    checkpoint.plain_tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain_tokenizer(folder),
        eos_token=own.eos_token,
        pad_token=own.pad_token,
        padding_side=own.padding_side,
        truncation_side=own.truncation_side,
        model_max_length=own.model_max_length,
        clean_up_tokenization_spaces=False,
    )
    return checkpoint


def run_task(
    model: Checkpoint,
    config: LightevalTaskConfig,
    items: Sequence[Item],
    max_samples: int | None,
    advance: Callable[[int], Any],
) -> list[Outcome]:
    """Return what `model` makes of the items, in their order; of `max_samples` items, always the same ones.

    `advance` is called with the number of completions after every batch.
    """
    model.advance = advance
    pipeline = TaskPipeline(
        config,
        items,
        pipeline_parameters=PipelineParameters(
            launcher_type=ParallelismManager.NONE,
            max_samples=max_samples,
            remove_reasoning_tags=False,
            bootstrap_iters=0,
        ),
        evaluation_tracker=EvaluationTracker(output_dir=model.config.cache_dir, save_details=False),
        model=model,
    )
    pipeline.evaluate()
    responses: dict[str, ModelResponse] = {}
    metrics: dict[str, dict[str, Any]] = defaultdict(dict)
    for detail in pipeline.get_details()[f"{config.name}|0"]:  # one for each item and kind of metric
        item_id = item_of(detail.doc).id
        metrics[item_id].update(detail.metric)
        if detail.model_response.text:
            responses[item_id] = detail.model_response
    return [
        Outcome(item, responses[item.id].text[0], responses[item.id].output_tokens[0], metrics[item.id])
        for item in items
        if item.id in responses
    ]
