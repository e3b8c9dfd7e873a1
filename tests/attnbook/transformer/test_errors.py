"""Errors name the argument, what was expected and what came."""

import pytest
import torch

from attnbook.transformer import (
    Bert,
    Decoder,
    Encoder,
    EncoderLayer,
    FeedForward,
    Gpt,
    Residual,
    TokenEmbedding,
    Transformer,
)


@pytest.fixture
def model():
    return Transformer(9, 9, d_model=8, n_heads=2, n_layers=2, d_hidden=12)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: Residual(4, norm="none"), ValueError, "norm must be 'pre' or 'post'; got 'none'"),
        (lambda: EncoderLayer(4, 2, 8, norm="Pre"), ValueError, "norm must be 'pre' or 'post'; got 'Pre'"),
        (lambda: Transformer(9, 9, norm="last"), ValueError, "norm must be 'pre' or 'post'; got 'last'"),
        (
            lambda: FeedForward(4, 8, activation="tanh"),
            ValueError,
            "activation must be one of relu, gelu, .*; got 'tanh'",
        ),
        (lambda: FeedForward(4, 0), ValueError, "d_hidden must be at least 1; got 0"),
        (lambda: FeedForward(4.0, 8), TypeError, "d_model must be an integer; got float"),
        (lambda: Encoder(0, 4, 2, 8), ValueError, "n_layers must be at least 1; got 0"),
        (lambda: Decoder(0, 4, 2, 8), ValueError, "n_layers must be at least 1; got 0"),
        (lambda: TokenEmbedding(0, 4, positions=None), ValueError, "vocabulary_size must be at least 1; got 0"),
        (lambda: Transformer(9, 9, d_model=10, n_heads=4), ValueError, "n_heads must divide d_model = 10"),
        (
            lambda: Encoder(1, 4, 2, 8)(torch.ones(1, 2, 4), caches=[]),
            ValueError,
            "caches must be one for each of the 1 la",
        ),
        (
            lambda: Decoder(2, 4, 2, 8)(torch.ones(1, 2, 4), torch.ones(1, 2, 4), caches=Decoder(1, 4, 2, 8).caches(3)),
            ValueError,
            "caches must be one for each of the 2 layers; got 1",
        ),
    ],
)
def test_parts(own_errors, build, error, message):
    with pytest.raises(error, match=message):
        build()


def test_sources_and_targets(own_errors, model):
    source, target = torch.tensor([[4, 5, 2]]), torch.tensor([[1, 4]])
    for bad, error, message in [
        ("abc", TypeError, "source must be a torch.Tensor"),
        (torch.ones(1, 3), ValueError, "source must hold whole numbers.*float32"),
        (torch.tensor([[0, 0]]), ValueError, "source must have .* a symbol .*1 rows of padding only"),
        (torch.tensor([[4, 0, 5]]), ValueError, "source must be padded on the right only"),
    ]:
        with pytest.raises(error, match=message):
            model(bad, target)
        with pytest.raises(error, match=message):
            model.attention_maps(bad, target)
    for bad, error, message in [
        ([[1, 4]], TypeError, "target_in must be a torch.Tensor"),
        (torch.ones(1, 2), ValueError, "target_in must hold whole numbers.*float32"),
        (torch.ones(1, 0, dtype=torch.long), ValueError, "target_in must hold whole numbers.*at least 1"),
        (torch.ones(2, 2, dtype=torch.long), ValueError, "target_in must have as many rows as source, 1; got 2"),
    ]:
        for call in (model, model.attention_maps):
            with pytest.raises(error, match=message):
                call(source, bad)
    with pytest.raises(ValueError, match="max_length must be at least 1; got 0"):
        model.greedy(source, max_length=0)


def test_too_many_tokens(own_errors):
    tokens = torch.ones(1, 5, dtype=torch.long)
    for small in (
        Bert(9, max_length=4, d_model=8, n_heads=2, n_layers=1),
        Gpt(9, max_length=4, d_model=8, n_heads=2, n_layers=1),
    ):
        with pytest.raises(ValueError, match="max_length = 4"):
            small(tokens)
    with pytest.raises(ValueError, match="max_length = 4"):
        small.generate(tokens[:, :2], steps=4)
    with pytest.raises(ValueError, match="steps must be at least 1; got 0"):
        small.generate(tokens[:, :2], steps=0)
