"""What fact tokens mean to a model: a map of their embeddings, and whether they tell the value of facts not seen.

    means = describe_embeddings(read_embeddings(Path("outputs/smoke/mulfact/seed-0/sft_final"), facts), facts)

The map is that of principal components, which is classical scaling of the Euclidean distances. The prediction is a
ridge regression that leaves out one fact at a time, with the one in the other order: 9*6 would give 6*9 away. Its
penalty is the mean variance of the embeddings, fixed beforehand. Chance is what the same regression makes of values
that were dealt out to the facts at random.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from mulfact.provenance import write_json
from mulfact.tokenizers.facts import Facts, FactToken

EMBEDDINGS = "embeddings.json"  # beside the results of a checkpoint
MATRIX = "transformer.wte.weight"
LEAST_FACTS = 10  # with operands; of fewer a regression says nothing
PERMUTATIONS = 1000
SEED = 0


def write_embeddings(folder: Path, checkpoint: Path, facts: Facts) -> None:
    """Write <folder>/embeddings.json where the arm has facts enough for it."""
    if any(token.operands for token in facts.fact_tokens):
        means = describe_embeddings(read_embeddings(checkpoint, facts), facts.fact_tokens)
        if means is not None:
            write_json(folder / EMBEDDINGS, means)


def read_embeddings(checkpoint: Path, facts: Facts) -> np.ndarray:
    """Return the embeddings of the fact tokens of a checkpoint, (tokens, width)."""
    with safe_open(checkpoint / "model.safetensors", framework="numpy") as weights:
        table = weights.get_tensor(MATRIX)
    return table[list(facts.by_id)].astype(np.float64)


def describe_embeddings(embeddings: np.ndarray, tokens: Sequence[FactToken]) -> dict[str, Any] | None:
    """Return the map and the prediction; None for fewer than LEAST_FACTS tokens with operands.

    `predicted` of a fact is the value that the regression on the others gives it.
    """
    chosen = [index for index, token in enumerate(tokens) if token.operands]
    if len(chosen) < LEAST_FACTS:
        return None
    values = np.array([value_of(tokens[index]) for index in chosen], dtype=float)
    units = ["{}*{}".format(*sorted(tokens[index].operands or ())) for index in chosen]
    places, explained = principal_components(embeddings[chosen])
    predicted, ridge = ridge_prediction(embeddings[chosen], values, units)
    facts = [
        {"token": tokens[index].token, "text": tokens[index].text, "operands": list(tokens[index].operands or ()),
         "value": float(value), "x": float(x), "y": float(y), "predicted": float(guess)}
        for index, value, (x, y), guess in zip(chosen, values, places, predicted, strict=True)
    ]  # fmt: skip
    return {"explained_variance": explained, "ridge": ridge, "facts": facts}


def value_of(token: FactToken) -> int:
    """Return the product or the sum that a fact token stands for."""
    assert token.operands is not None
    a, b = token.operands
    return a + b if "+" in token.text else a * b


def principal_components(embeddings: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Return the first two coordinates of each row, (rows, 2), and the share of the variance that each one holds."""
    left, sizes, _ = np.linalg.svd(embeddings - embeddings.mean(axis=0), full_matrices=False)
    return left[:, :2] * sizes[:2], (sizes[:2] ** 2 / (sizes**2).sum()).tolist()


def ridge_prediction(
    embeddings: np.ndarray, values: np.ndarray, units: Sequence[str]
) -> tuple[np.ndarray, dict[str, float]]:
    """Return each fact's value as predicted without its unit, and how good that is against dealt-out values.

    `r2` is 1 less the squared error over that of the mean of the other facts; `p_value` is the share of the deals, the
    true one among them, that reach it.
    """
    centred = embeddings - embeddings.mean(axis=0)
    kernel = centred @ centred.T
    count = len(values)
    hat = kernel @ np.linalg.inv(kernel + np.trace(kernel) / count * np.eye(count)) + 1 / count
    groups = [np.flatnonzero(np.array(units) == unit) for unit in dict.fromkeys(units)]
    deals = deal(values, groups)
    errors, blank = left_out(hat, deals, groups), left_out(np.full_like(hat, 1 / count), deals, groups)
    r2 = 1 - (errors**2).sum(axis=0) / (blank**2).sum(axis=0)
    return values - errors[:, 0], {
        "r2": float(r2[0]),
        "p_value": float(np.mean(r2 >= r2[0] - 1e-12)),
        "r2_of_chance": float(np.quantile(r2[1:], 0.95)),
        "mean_absolute_error": float(np.abs(errors[:, 0]).mean()),
    }


def deal(values: np.ndarray, groups: Sequence[np.ndarray]) -> np.ndarray:
    """Return the values, and behind them PERMUTATIONS deals of them to units of the same size, (facts, 1 + deals)."""
    generator, deals = np.random.default_rng(SEED), np.repeat(values[:, None], 1 + PERMUTATIONS, axis=1)
    for size in {len(group) for group in groups}:
        own = [group for group in groups if len(group) == size]
        for column in range(1, 1 + PERMUTATIONS):
            for group, other in zip(own, generator.permutation(len(own)), strict=True):
                deals[group, column] = values[own[other][0]]
    return deals


def left_out(hat: np.ndarray, values: np.ndarray, groups: Sequence[np.ndarray]) -> np.ndarray:
    """Return the errors of each fact when its group is left out of the regression, from that on all facts.

    For a linear smoother of least squares these are (I - H_gg)^-1 e_g (Hastie, Tibshirani and Friedman, section 7.10).
    """
    residuals, errors = values - hat @ values, np.empty_like(values)
    for group in groups:
        errors[group] = np.linalg.solve(np.eye(len(group)) - hat[np.ix_(group, group)], residuals[group])
    return errors
