"""What embeddings of facts tell: found where it is planted, not found where it is not, the same as by refitting."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mulfact.evals.evaluation.embeddings import describe_embeddings, read_embeddings, ridge_prediction
from mulfact.tokenizers.facts import Facts, FactSettings, FactToken

TOKENS = FactSettings(mode="weak").tokens()


def planted(seed: int, strength: float, width: int = 32) -> np.ndarray:
    """Return embeddings that hold both operands along random directions, in noise."""
    random = np.random.default_rng(seed)
    operands = np.array([token.operands for token in TOKENS], dtype=float)
    signal = operands @ random.normal(size=(2, width)) + np.prod(operands, axis=1)[:, None] * random.normal(size=width)
    return strength * signal + random.normal(size=(len(TOKENS), width))


def test_a_planted_product_is_predicted_and_noise_is_not() -> None:
    means = describe_embeddings(planted(0, 1.0), TOKENS)
    assert means is not None
    assert means["ridge"]["r2"] > 0.8
    assert means["ridge"]["p_value"] == pytest.approx(1 / 1001)
    assert means["explained_variance"][0] > 0.5
    fact = next(fact for fact in means["facts"] if fact["operands"] == [6, 9])
    assert (fact["value"], fact["token"]) == (54, "<MUL_6_9>")
    assert abs(fact["predicted"] - 54) < 15
    p_values = [describe_embeddings(planted(seed, 0.0), TOKENS)["ridge"]["p_value"] for seed in range(8)]  # type: ignore[index]
    assert np.mean(np.array(p_values) < 0.05) < 0.5
    assert np.mean(p_values) > 0.2


def test_the_other_order_does_not_give_a_fact_away() -> None:
    """Two facts of one unit have one random vector: who leaves out only one of them predicts the other perfectly."""
    random = np.random.default_rng(1)
    vectors = {tuple(sorted(token.operands or ())): random.normal(size=32) for token in TOKENS}
    means = describe_embeddings(np.array([vectors[tuple(sorted(token.operands or ()))] for token in TOKENS]), TOKENS)
    assert means is not None
    assert means["ridge"]["r2"] < 0.2


def test_leaving_out_is_refitting() -> None:
    embeddings, values = planted(2, 0.3)[:20], np.arange(20.0) ** 1.5
    units = [str(index // 2) for index in range(20)]
    predicted, _ = ridge_prediction(embeddings, values, units)
    centred = embeddings - embeddings.mean(axis=0)
    penalty = np.trace(centred @ centred.T) / 20
    kept = np.arange(20) >= 2
    mean = embeddings[kept].mean(axis=0)
    inner = embeddings[kept] - mean
    slope = np.linalg.solve(inner.T @ inner + penalty * np.eye(32), inner.T @ (values[kept] - values[kept].mean()))
    np.testing.assert_allclose(predicted[:2], values[kept].mean() + (embeddings[:2] - mean) @ slope)


def test_words_have_no_value() -> None:
    words = [FactToken(f"<W{n}>", f"word{n}", None, (f"word{n}",)) for n in range(20)]
    assert describe_embeddings(np.zeros((20, 4)), words) is None


def test_the_rows_of_the_facts_are_read(tmp_path: Path) -> None:
    table = np.arange(100 * 3, dtype=np.float32).reshape(100, 3)
    save_file({"transformer.wte.weight": table}, tmp_path / "model.safetensors")
    facts = Facts("weak", 100, 19, tuple(TOKENS), FactSettings(mode="weak"))
    np.testing.assert_array_equal(read_embeddings(tmp_path, facts), table[19:])
