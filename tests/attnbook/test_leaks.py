"""The leak test finds exactly what reaches what, in functions whose every path is known."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnbook import attention, leaks, masks

SIZE = st.integers(0, 5)


def known(paths, seed=0):
    """A function in which output i is made of the inputs j with paths[..., i, j], and of no others."""
    weights = 1 + torch.rand(paths.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    weights = (weights * paths.cpu()).to(paths.device)
    return lambda x: weights @ torch.sin(x) + 1


def random_paths(*size, seed, device):
    return (torch.rand(size, generator=torch.Generator().manual_seed(seed)) < 0.5).to(device)


def vectors(*size, device, seed=1):
    return torch.randn(size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(device)


@settings(max_examples=25)
@given(n=SIZE, m=SIZE, batch=st.sampled_from([(), (1,), (3,), (2, 2)]), seed=st.integers(0, 99))
def test_it_finds_exactly_the_paths_there_are(n, m, batch, seed, device):
    paths = random_paths(*batch, n, m, seed=seed, device=device)
    found = leaks.influence(known(paths), vectors(*batch, m, 3, device=device))
    assert found.dtype == torch.bool and found.device.type == device.type
    assert torch.equal(found, paths)
    leaks.assert_mask(known(paths), vectors(*batch, m, 3, device=device), paths)


@settings(max_examples=25)
@given(m=st.integers(1, 5), vocabulary=st.integers(2, 4), seed=st.integers(0, 99))
def test_with_tokens(m, vocabulary, seed, device):
    paths = random_paths(2, m, m, seed=seed, device=device)
    table = torch.eye(vocabulary, dtype=torch.float64, device=device)
    tokens = torch.randint(0, vocabulary, (2, m), generator=torch.Generator().manual_seed(seed)).to(device)
    found = leaks.influence(lambda ids: known(paths)(table[ids]), tokens, vocabulary=vocabulary)
    assert torch.equal(found, paths)


def test_a_token_becomes_another_token_in_every_draw():
    seen = []

    def function(ids):
        seen.append(ids)
        return torch.zeros(*ids.shape, 1)

    given_tokens = torch.tensor([[0, 2, 1, 2]])
    leaks.influence(function, given_tokens, vocabulary=3, draws=40)
    for j in range(4):
        trials = torch.cat(seen[2 + 40 * j : 42 + 40 * j])
        assert set(trials[:, j].tolist()) == {0, 1, 2} - {int(given_tokens[0, j])}
        others = [k for k in range(4) if k != j]
        assert (trials[:, others] == given_tokens[:, others]).all()


@pytest.mark.parametrize(("n", "m"), [(4, 4), (2, 5), (5, 2), (1, 3)])
def test_causal_at_the_end(n, m, device):
    past = torch.tensor([[j <= i + m - n for j in range(m)] for i in range(n)], device=device)
    x = vectors(m, 3, device=device)
    leaks.assert_causal(known(past), x)
    for i, j in (~past).nonzero().tolist():
        leak = past.clone()
        leak[i, j] = True
        with pytest.raises(AssertionError, match=rf"^output {i} changes when input {j} changes: it sees the future$"):
            leaks.assert_causal(known(leak), x)
        with pytest.raises(AssertionError, match=rf"^output {i} changes when input {j} changes, which the mask hides$"):
            leaks.assert_mask(known(leak), x, past)
    for i, j in past.nonzero().tolist():
        gap = past.clone()
        gap[i, j] = False
        with pytest.raises(AssertionError, match=rf"^output {i} does not change when input {j} changes, which the"):
            leaks.assert_mask(known(gap), x, past)
        if past.sum() > 1:
            leaks.assert_causal(known(gap), x)  # less than the past is no leak


def test_the_first_pair_is_named_with_its_sequence(device):
    paths = masks.causal(4, device=device).repeat(3, 1, 1)
    paths[1, 2, 3] = paths[1, 0, 2] = paths[2, 0, 1] = True
    with pytest.raises(AssertionError, match=r"^output 0 changes when input 2 changes \(in sequence 1\): it sees"):
        leaks.assert_causal(known(paths), vectors(3, 4, 2, device=device))
    with pytest.raises(AssertionError, match=r"^output 0 changes when input 2 changes: it sees the future$"):
        leaks.assert_causal(known(paths[1:2]), vectors(1, 4, 2, device=device))


def test_a_mask_broadcasts(device):
    shown = masks.padding(torch.tensor([3, 1], device=device))[:, 0]
    query = vectors(2, 4, 3, device=device, seed=2)
    function = lambda x: attention(query, x, x, mask=shown)[0]  # noqa: E731
    leaks.assert_mask(function, vectors(2, 3, 3, device=device), shown)
    with pytest.raises(ValueError, match=r"^mask must broadcast"):
        leaks.assert_mask(function, vectors(2, 3, 3, device=device), shown[:, :, :2])


def test_nothing_seen_is_no_success(device):
    with pytest.raises(AssertionError, match=r"^no output changes, whichever input is changed: nothing was tested$"):
        leaks.assert_causal(lambda x: torch.ones_like(x), vectors(4, 3, device=device))


def test_it_finds_a_leak_that_the_gradient_misses(device):
    """A saturated softmax: the weight is exactly 0 and so is the gradient, until another key comes."""
    key = torch.tensor([[300.0], [-300.0]], device=device)
    function = lambda x: attention(torch.ones(1, 1, device=device), x, x)[0]  # noqa: E731
    gradient = torch.autograd.functional.jacobian(function, key)
    assert gradient.flatten().tolist() == [1, 0]
    assert leaks.influence(function, key).all()


def test_large_and_small_changes_are_tried(device):
    x = torch.zeros(1, 1, device=device, dtype=torch.float64)
    assert leaks.influence(lambda x: (x - 60).relu(), x, draws=40)[0, 0]
    assert leaks.influence(lambda x: (x * 1e-3).tanh().round(decimals=12), x)[0, 0]


def test_tolerance(device):
    paths = torch.ones(1, 1, dtype=torch.bool, device=device)
    function = lambda x: 1e-6 * known(paths)(x)  # noqa: E731
    x = vectors(1, 2, device=device)
    assert leaks.influence(function, x).all()
    assert not leaks.influence(function, x, tolerance=1e-4).any()
    assert leaks.influence(lambda x: 1e6 * function(x), x, tolerance=1e-4).all()


def test_an_output_that_becomes_nan_has_changed(device):
    x = torch.ones(2, 1, dtype=torch.float64, device=device)
    function = lambda x: torch.where(x == 1, x, torch.nan)  # noqa: E731
    assert torch.equal(leaks.influence(function, x, tolerance=1e9), torch.eye(2, dtype=torch.bool, device=device))


def test_it_changes_nothing_of_the_caller(device):
    x = vectors(3, 2, device=device).requires_grad_()
    before, state = x.detach().clone(), torch.get_rng_state()
    recorded = []

    def function(x):
        recorded.append(torch.is_grad_enabled())
        return x + 0

    leaks.influence(function, x)
    assert torch.equal(x, before) and torch.equal(state, torch.get_rng_state()) and x.grad is None
    assert torch.is_grad_enabled() and not any(recorded)


def test_a_dropout_that_is_on_is_named(device):
    dropout = torch.nn.Dropout(0.5)
    with pytest.raises(ValueError, match="the same output for the same input"):
        leaks.influence(dropout, vectors(20, 5, device=device))
    assert leaks.influence(dropout.eval(), vectors(3, 5, device=device)).diagonal().all()


def test_nan_in_the_output_is_named(device):
    def function(x):
        output = x.clone()
        output[..., 2, 0] = torch.nan
        return output

    with pytest.raises(ValueError, match="output 2 is not finite"):
        leaks.influence(function, vectors(2, 4, 3, device=device))


def test_half_precision(device):
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).half().to(device)
    function = lambda x: attention(x, x, x, mask=masks.causal(5, device=device))[0]  # noqa: E731
    leaks.assert_mask(function, x, masks.causal(5, device=device))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": [[1.0]]}, TypeError, "x must be a torch.Tensor; got list"),
        ({"x": torch.ones(2, 2) > 0}, TypeError, "x must hold floats .* got dtype torch.bool"),
        ({"x": torch.ones(3)}, ValueError, r"x must have shape .* got \(3,\)"),
        ({"x": torch.ones(2, 3).long()}, ValueError, "vocabulary must be given"),
        ({"x": torch.ones(2, 3).long(), "vocabulary": 1}, ValueError, "vocabulary must be at least 2; got 1"),
        ({"x": torch.full((2,), 5), "vocabulary": 5}, ValueError, r"x must hold tokens from 0 to .* = 4; got \[5, 5\]"),
        ({"vocabulary": 4}, ValueError, "vocabulary must be None where x holds floats; got 4"),
        ({"draws": 0}, ValueError, "draws must be at least 1; got 0"),
        ({"tolerance": -1}, ValueError, "tolerance must be at least 0; got -1"),
        ({"tolerance": "0"}, TypeError, "tolerance must be a number; got str"),
        ({"function": lambda x: (x, None)}, TypeError, "function must return one torch.Tensor .* got tuple"),
        ({"function": lambda x: x[0]}, ValueError, r"function must return floats .* got \(3,\)"),
        ({"function": lambda x: x > 0}, ValueError, r"function must return floats .* torch.bool"),
    ],
)
def test_errors(change, error, message, own_errors):
    arguments = {"function": lambda x: x, "x": torch.ones(2, 3)} | change
    with pytest.raises(error, match=f"^{message}"):
        leaks.influence(**arguments)
