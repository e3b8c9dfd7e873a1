"""What is drawn from, against the library transformers; and that it is drawn as often as it says."""

import pytest
import torch
from transformers.generation.logits_process import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from attnbook.transformer import Gpt, draw, most_probable, probabilities, sampler

LOGITS = torch.tensor([[0.3, 2.0, -1.0, 0.5, 1.9, -3.0], [5.0, 1.0, 1.5, 0.0, -2.0, 0.7]], dtype=torch.float64)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("top_k", [None, 1, 3, 50])
@pytest.mark.parametrize("top_p", [None, 0.05, 0.5, 0.9, 1.0])
def test_probabilities(temperature, top_k, top_p):
    expected = TemperatureLogitsWarper(temperature)(None, LOGITS)
    if top_k is not None:
        expected = TopKLogitsWarper(top_k)(None, expected)
    if top_p is not None:
        expected = TopPLogitsWarper(top_p)(None, expected)
    found = probabilities(LOGITS, temperature=temperature, top_k=top_k, top_p=top_p)
    torch.testing.assert_close(found, expected.softmax(-1), rtol=1e-12, atol=1e-15)


def test_the_token_that_reaches_the_share_stays():
    p = torch.tensor([[0.25, 0.5, 0.125, 0.125]]).log().double()
    for share, kept in ((0.25, 1), (0.5, 1), (0.51, 2), (0.75, 2), (0.8, 3), (1.0, 4)):
        assert int((probabilities(p, top_p=share - 1e-9) > 0).sum()) == kept


def test_ties_keep_k_tokens():
    assert probabilities(torch.zeros(1, 5), top_k=2).tolist() == [[0.5, 0.5, 0, 0, 0]]


def test_float64_from_float32():
    assert probabilities(LOGITS.float()).dtype == torch.float64


def test_drawn_as_often_as_probable():
    p = probabilities(LOGITS[:1], top_k=4).expand(20_000, -1)
    counts = torch.bincount(draw(p, torch.Generator().manual_seed(0)), minlength=6)
    error = (p[0] * (1 - p[0]) / 20_000).sqrt()
    assert ((counts / 20_000 - p[0]).abs() <= 4 * error).all()
    assert (counts[p[0] == 0] == 0).all()


def test_the_most_probable_lies_first():
    """The point 0.3 falls on the largest share, wherever that token stands."""

    class Point(torch.Generator):
        pass

    p = torch.tensor([[0.1, 0.2, 0.4, 0.3]]).double()
    generator = Point().manual_seed(0)
    point = torch.rand(1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64).item()
    ends = [(0.4, 2), (0.7, 3), (0.9, 1), (1.0, 0)]
    assert draw(p, generator).item() == next(token for end, token in ends if point < end)


def test_same_seed_same_text():
    model = Gpt(30, d_model=8, n_heads=2, n_layers=1, max_length=40)
    prompt = torch.tensor([[1, 2, 3]])

    def write(seed, **options):
        return model.generate(prompt, steps=30, choose=sampler(torch.Generator().manual_seed(seed), **options)).tolist()

    assert write(0) == write(0) != write(1)
    assert write(0, top_k=1) == model.generate(prompt, steps=30).tolist()
    assert write(0, temperature=1e-4) == model.generate(prompt, steps=30).tolist()
    assert most_probable(LOGITS).tolist() == [1, 0]


def test_errors(own_errors):
    generator = torch.Generator()
    for options, error, message in [
        ({"temperature": 0}, ValueError, "temperature must be above 0 and finite"),
        ({"temperature": float("nan")}, ValueError, "temperature must be above 0 and finite"),
        ({"temperature": "1"}, TypeError, "temperature must be a number; got str"),
        ({"top_k": 0}, ValueError, "top_k must be at least 1; got 0"),
        ({"top_k": 2.0}, TypeError, "top_k must be an integer; got float"),
        ({"top_p": 0.0}, ValueError, "top_p must be above 0 and at most 1; got 0.0"),
        ({"top_p": 1.5}, ValueError, "top_p must be above 0 and at most 1; got 1.5"),
    ]:
        for call in (lambda o=options: probabilities(LOGITS, **o), lambda o=options: sampler(generator, **o)):
            with pytest.raises(error, match=message):
                call()
