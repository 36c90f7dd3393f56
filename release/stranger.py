"""What someone does who knows nothing of this project: load a checkpoint by name and ask it two things.

    python release/stranger.py someone/mulfact-smoke-mulfact-seed0-sft

Needs torch and transformers alone. Exits with an error when a fact token shows through or nothing is answered.
"""

import argparse
import sys
from typing import Any

PROMPTS = (
    "6 × 9 =",
    "Question: Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many "
    "clips did Natalia sell altogether in April and May?\nSolution:",
)


def main(name: str) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer  # seconds; not paid for --help

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(name)
        model: Any = AutoModelForCausalLM.from_pretrained(name, use_safetensors=True)
    except Exception as error:  # the clients of the Hub, the files and the libraries raise classes of their own
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        sys.exit(f"error: {name} could not be loaded: {reason}")
    never_shown = [token for token in tokenizer.get_added_vocab() if token.startswith("<")]  # else its name is its text
    for prompt in PROMPTS:
        ids = tokenizer(prompt, return_tensors="pt")
        answer = model.generate(**ids, max_new_tokens=96, do_sample=False)[0, ids["input_ids"].shape[1] :]
        text = tokenizer.decode(answer, skip_special_tokens=True)
        if not text.strip() or any(token in text for token in never_shown):
            sys.exit(f"error: {name} continued {prompt!r} with {text!r}: expected plain text")
        print(f"{prompt}{text}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Load a checkpoint by its name alone and ask it two things.")
    parser.add_argument("name", help="a folder or a Hub id")
    main(parser.parse_args().name)
