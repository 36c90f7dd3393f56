"""What the Hub refuses in cards and in results of evaluations, as far as ours could get it wrong."""

import re

import yaml
from huggingface_hub import parse_eval_result_entries


def file_errors(path: str, text: str) -> list[str]:
    """Return what the Hub would refuse in a card, or in the results of an evaluation."""
    if not path.startswith(".eval_results/"):
        return metadata_errors(text) if path == "README.md" else []
    try:
        entries = parse_eval_result_entries(yaml.safe_load(text))
    except (ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        return [str(error)]
    return [] if entries else ["no entries"]


def metadata_errors(card: str) -> list[str]:
    """Return what the Hub would refuse in the front matter of a card."""
    match = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    if not match:
        return ["no YAML front matter"]
    try:
        data = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        return [str(error)]
    if "sdk" in data and (data["sdk"] not in ("static", "docker", "gradio") or len(data["short_description"]) > 60):
        return [f"a Space: {data}"]
    errors = [] if data.get("license") in ("mit", "cc-by-nc-4.0", "other") else [f"license {data.get('license')!r}"]
    for config in data.get("configs", []):
        if not isinstance(config.get("config_name"), str) or not isinstance(config.get("data_files"), list):
            errors.append(f"configs: {config}")
    for name in ("tags", "datasets", "language"):
        if not all(isinstance(value, str) for value in data.get(name) or []):
            errors.append(f"{name} must be a list of strings")
    return errors
