"""What the Hub refuses in the front matter of a card, as far as our cards could get it wrong."""

import re

import yaml


def metadata_errors(card: str) -> list[str]:
    """Return what the Hub would refuse in the front matter of a card."""
    match = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    if not match:
        return ["no YAML front matter"]
    try:
        data = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        return [str(error)]
    errors = [] if data.get("license") in ("mit", "cc-by-nc-4.0", "other") else [f"license {data.get('license')!r}"]
    for config in data.get("configs", []):
        if not isinstance(config.get("config_name"), str) or not isinstance(config.get("data_files"), list):
            errors.append(f"configs: {config}")
    for name in ("tags", "datasets", "language"):
        if not all(isinstance(value, str) for value in data.get(name) or []):
            errors.append(f"{name} must be a list of strings")
    return errors
