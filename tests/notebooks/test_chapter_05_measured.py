"""What chapter 5 measures on random vectors, against NumPy in float64 with other random numbers.

Margins are a few standard errors of the two measurements. Nothing here imports attnbook or torch.
"""

import re

import numpy as np
import pytest
from chapter_05 import agree, near, output, printed
from mpmath import mp, mpf


def test_variance_is_the_size():
    kurtosis = {"normal": 3, "uniform": mpf(9) / 5, "±1": 1}  # of one component
    for name, of_one in kurtosis.items():
        for token, d_k in zip(printed("variance[name, d_k] = ", name), (4, 64, 1024), strict=True):
            spread = mp.sqrt((2 + (of_one**2 - 3) / d_k) / 10_000)  # standard error of a variance from 10,000 pairs
            assert abs(float(token) - 1) < 4 * spread + 0.005


def scores_by_chance(d_k, rows=4000, keys=16, seed=5):
    rng = np.random.default_rng(seed)
    return np.stack([rng.normal(size=(keys, d_k)) @ rng.normal(size=d_k) for _ in range(rows)])


def weights_of(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def jacobian_norm(weights):
    """Frobenius norm of diag(a) - a aᵀ in closed form: its square is sum a² - 2 sum a³ + (sum a²)²."""
    square, cube = (weights**2).sum(axis=-1), (weights**3).sum(axis=-1)
    return np.sqrt(np.maximum(square - 2 * cube + square**2, 0))


@pytest.mark.parametrize(("d_k", "margin"), [(4, 0.05), (64, 0.15), (1024, 0.6)])
def test_median_norm_of_the_jacobian(d_k, margin):
    scores = scores_by_chance(d_k)
    unscaled, scaled = printed("def random_pairs", f"d_k {d_k:4}:")
    near([unscaled], [np.median(jacobian_norm(weights_of(scores)))], relative=margin)
    near([scaled], [np.median(jacobian_norm(weights_of(scores / d_k**0.5)))], relative=0.03)


def test_a4_2_the_scaled_norm_does_not_fall():
    token = printed("A4.2", "median norm at d_k = 4 over that at 1024:")
    medians = [np.median(jacobian_norm(weights_of(scores_by_chance(d_k) / d_k**0.5))) for d_k in (4, 1024)]
    near(token, [medians[0] / medians[1]], relative=0.03)
    assert printed("A4.2", "the same unscaled, more than 10,000:") == [] and "10,000: True" in output("A4.2")
    low, high = printed("A4.2", "variance after scaling:")
    assert 0.95 < float(low) <= 1 <= float(high) < 1.05


def test_gradient_that_arrives_at_the_query():
    text = output("share of the top tenth")
    found = re.findall(r"(\d+) (unscaled|scaled) +(.*)", text)
    rows = {(int(d_k), name): numbers.split() for d_k, name, numbers in found}
    rng = np.random.default_rng(6)
    for d_k, margin in ((64, 0.1), (1024, 1.0)):
        sizes = {"unscaled": [], "scaled": []}
        for _ in range(2000):
            keys = rng.normal(size=(16, d_k))
            products = keys @ rng.normal(size=d_k)
            for name, scale in (("unscaled", 1.0), ("scaled", d_k**-0.5)):
                a = weights_of(scale * products)
                sizes[name].append(np.linalg.norm(scale * (np.diag(a) - np.outer(a, a)) @ keys))
        for name, size in sizes.items():
            size = np.sort(size)[::-1]
            median, mean, share = rows[d_k, name]
            near([median], [np.median(size)], relative=margin if name == "unscaled" else 0.05)
            near([mean], [size.mean()], relative=0.15 if name == "unscaled" else 0.03)
            assert float(share.rstrip("%")) == pytest.approx(100 * size[:200].sum() / size.sum(), abs=5)


def test_one_key_that_fits():
    rng = np.random.default_rng(7)
    for d_k in (16, 64, 256, 1024):
        score, by_root, by_size, weight_by_root, weight_by_size = printed("one_key_fits(d_k, rho=0.5)", f"{d_k} ")
        spread = 4 * (1.25 * d_k / 2000) ** 0.5  # of the mean of 2,000 dot products, whose variance is d_k (1 + 1/4)
        assert float(score) == pytest.approx(d_k / 2, abs=spread + 0.5)
        assert float(by_root) == pytest.approx(d_k**0.5 / 2, abs=spread / d_k**0.5 + 0.05)
        assert float(by_size) == pytest.approx(0.5, abs=spread / d_k + 0.005)
        products = []
        for _ in range(1000):
            query, keys = rng.normal(size=d_k), rng.normal(size=(16, d_k))
            keys[0] = query / 2 + 0.75**0.5 * keys[0]
            products.append(keys @ query)
        products = np.array(products)
        assert float(weight_by_root) == pytest.approx(weights_of(products / d_k**0.5)[:, 0].mean(), abs=0.03)
        assert float(weight_by_size) == pytest.approx(weights_of(products / d_k)[:, 0].mean(), abs=0.008)


def share_that_finds_its_key(scale, step_size, seed, start=1, d_k=256, d_model=32, batch=128, steps=150):
    """The training of A1.3b with its gradients by hand: score = q W_k x, so that the keys themselves are not needed."""
    rng = np.random.default_rng(seed)
    tokens = rng.normal(size=(64, d_model))
    to_query, to_key = start * rng.normal(size=(2, d_model, d_k)) / d_model**0.5
    for _ in range(steps):
        x = tokens[rng.random((batch, 64)).argsort(axis=1)[:, :16]]
        values = rng.normal(size=(batch, 16, 8))
        query = x[:, 0] @ to_query
        weights = weights_of(scale * (x @ (query @ to_key.T)[:, :, None])[:, :, 0])
        error = (weights[:, None] @ values)[:, 0] - values[:, 0]
        to_weights = (values @ (2 * error / error.size)[:, :, None])[:, :, 0]
        to_scores = scale * weights * (to_weights - (weights * to_weights).sum(axis=1, keepdims=True))
        pulled = (to_scores[:, None] @ x)[:, 0]
        to_query, to_key = (
            to_query - step_size * x[:, 0].T @ (pulled @ to_key),
            to_key - step_size * pulled.T @ query,
        )
    return (weights.argmax(axis=1) == 0).mean()


@pytest.mark.parametrize(
    ("label", "scale", "start"),
    [("unscaled ", 1, 1), ("scaled ", 1 / 16, 1), ("unscaled, matrices 4 times smaller at the start:", 1, 1 / 4)],
)
def test_a1_3b_the_step_sizes_that_work(label, scale, start):
    works = [size for size in (0.01, 0.1, 1, 10, 100) if share_that_finds_its_key(scale, size, 15, start) > 0.5]
    assert [float(token) for token in printed("A1.3b", label)] == works


def test_temperature_table():
    scores = np.random.default_rng(8).normal(size=(20_000, 16))
    for c in (1 / 64, 1 / 8, 1, 8, 64):
        entropy, median, mean = printed("moves = c * jacobian", f"{c:.4g} ")
        weights = weights_of(c * scores)
        logs = np.log(weights, where=weights > 0, out=np.zeros_like(weights))
        moves = c * jacobian_norm(weights)
        assert float(entropy) == pytest.approx(-(weights * logs).sum(-1).mean() / np.log(16), abs=0.01)
        assert float(mean) == pytest.approx(moves.mean(), rel=0.07)
        if c <= 8:  # beyond, the closed form loses all digits and the median spreads over powers of ten
            assert float(median) == pytest.approx(np.median(moves), rel=0.05)
        else:
            assert float(median) < 1e-6


def test_spread_of_cosines():
    rng = np.random.default_rng(9)
    for d_k in (16, 64, 256):
        spread, largest = printed("mean largest of 16 weights", f"{d_k} ")
        queries, keys = rng.normal(size=(4000, 1, d_k)), rng.normal(size=(4000, 16, d_k))
        cosines = (queries * keys).sum(-1) / np.linalg.norm(queries, axis=-1) / np.linalg.norm(keys, axis=-1)
        assert float(spread) == pytest.approx(d_k**-0.5, abs=0.003)
        assert float(largest) == pytest.approx(weights_of(cosines).max(axis=-1).mean(), abs=0.002)


def test_how_often_dot_and_cosine_disagree():
    rng = np.random.default_rng(10)
    queries, keys = rng.normal(size=(8000, 1, 64)), rng.normal(size=(8000, 16, 64))
    keys /= np.linalg.norm(keys, axis=-1, keepdims=True)
    cosines = (queries * keys).sum(-1)
    for spread in (0, 0.1, 0.25, 0.5, 1):
        dots = cosines * np.exp(spread * rng.normal(size=(8000, 16)))
        share = 100 * (dots.argmax(-1) != cosines.argmax(-1)).mean()
        (token,) = printed("another first key", f"{spread} ")
        assert float(token) == pytest.approx(share, abs=3 if spread else 0)


def test_exercise_what_the_score_should_be():
    rng = np.random.default_rng(11)

    def draw(spread, sigma, rows=4000):
        keys = rng.normal(size=(rows, 64, 32))
        keys *= np.exp(spread * rng.normal(size=(rows, 64, 1))) / np.linalg.norm(keys, axis=-1, keepdims=True)
        return keys[:, :1] + sigma * rng.normal(size=(rows, 1, 32)), keys

    marker = "def noisy_queries"
    agree(printed(marker, "1 / sigma^2:"), [1 / mpf("0.5") ** 2])
    assert "best factor between 3.5 and 4.5: True" in output(marker)
    for name, spread in (("equal lengths: ", 0), ("varied lengths:", 0.5)):
        queries, keys = draw(spread, 0.2)
        dots = (queries * keys).sum(-1)
        scores = {
            "dot": dots,
            "cosine": dots / np.linalg.norm(keys, axis=-1),
            "distance": -((queries - keys) ** 2).sum(-1),
        }
        for score, table in scores.items():
            (share,) = printed(marker, f"{name} {score} ")[-1:]
            assert float(share) == pytest.approx(100 * (table.argmax(-1) == 0).mean(), abs=3)
