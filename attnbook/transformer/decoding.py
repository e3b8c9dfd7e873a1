"""Writing with a trained model: greedy, and with several candidates at a time (beam search).

Both ask two things of a model: `start(source, max_length)` gives a state that can `reorder(index)` its rows;
`step(last, state)` takes the last symbol of each row and gives the next one's logits, and weights or None.

Axes: targets symbols written, width hypotheses for one source.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attnbook._validation import check_number, check_size
from attnbook.data.vocabulary import BOS, EOS, PAD

Source = Int[Tensor, "batch sources"]


class Hypotheses(NamedTuple):
    """What a beam search ends with, the best first."""

    symbols: Int[Tensor, "batch width targets"]  # PAD after a hypothesis' end symbol
    scores: Float[Tensor, "batch width"]  # log p / length penalty; -inf where there was no other hypothesis to keep


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Without gradients and without dropout; the model's mode is restored."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def greedy(
    model: nn.Module, source: Source, *, max_length: int
) -> tuple[Int[Tensor, "batch targets"], Float[Tensor, "batch targets sources"] | None]:
    """The most probable next symbol, again and again, up to the end symbol or max_length symbols.

    Shapes: source (batch, sources) -> symbols (batch, targets), and each step's weights (batch, targets, sources) if
    the model gives any. After a row's end symbol its symbols are PAD and its weights 0.
    Raises: TypeError or ValueError for a max_length below 1; what the model raises.
    """
    check_size("max_length", max_length, least=1)
    symbols, weights = [], []
    with evaluating(model):
        state = model.start(source, max_length)
        last = torch.full_like(source[:, :1], BOS)
        running = torch.ones_like(last, dtype=torch.bool)
        for _ in range(max_length):
            logits, alpha = model.step(last, state)
            last = logits.argmax(dim=-1, keepdim=True).masked_fill(~running, PAD)
            symbols.append(last)
            weights.append(None if alpha is None else (alpha * running).unsqueeze(1))
            running = running & (last != EOS)
            if not running.any():
                break
    return torch.cat(symbols, dim=1), None if weights[0] is None else torch.cat(weights, dim=1)


def beam(model: nn.Module, source: Source, *, width: int, max_length: int, length_penalty: float = 0.0) -> Hypotheses:
    """At each step every hypothesis is continued by every symbol, and the `width` best of all are kept.

    They are ranked by log p(y | x) / ((5 + length) / 6)^length_penalty, the end symbol counted in the length. The
    penalty 0 ranks by probability, which favors short answers; Wu et al. use 0.2. A finished hypothesis stays
    among the others, as it is. width=1 is greedy; the result is the best sequence of all for a width that drops none.
    Shapes: source (batch, sources) -> symbols (batch, width, targets), scores (batch, width).
    Raises: TypeError or ValueError for a width or max_length below 1, or a penalty that is not a number; what the
    model raises.
    Source: Wu et al. (2016), Section 7, without the coverage penalty.
    """
    check_size("width", width, least=1)
    check_size("max_length", max_length, least=1)
    check_number("length_penalty", length_penalty)
    batch = source.shape[0]
    with evaluating(model):
        state = model.start(source, max_length)
        symbols = source.new_full((batch, 1, 1), BOS)  # (batch, kept, written): at first one hypothesis, the empty one
        log_p = torch.zeros(batch, 1, device=source.device)
        length = torch.zeros_like(log_p)
        running = torch.ones_like(log_p, dtype=torch.bool)
        for _ in range(max_length):
            logits, _ = model.step(symbols[:, :, -1].reshape(-1, 1), state)
            next_log_p = logits.log_softmax(dim=-1).unflatten(0, (batch, -1))  # (batch, kept, vocabulary)
            kept, vocabulary = next_log_p.shape[1:]
            # What is finished goes on in one way only, with PAD, which changes nothing.
            as_it_is = torch.full_like(next_log_p[0, 0], -torch.inf)
            as_it_is[PAD] = 0
            next_log_p = torch.where(running.unsqueeze(-1), next_log_p, as_it_is)

            length = length + running
            candidates = log_p.unsqueeze(-1) + next_log_p
            penalty = ((5 + length.to(candidates.dtype)) / 6) ** length_penalty
            ranked = (candidates / penalty.unsqueeze(-1)).flatten(1)  # (batch, kept * vocabulary)
            scores, chosen = ranked.topk(min(width, ranked.shape[1]), dim=1)
            parent, symbol = chosen // vocabulary, chosen % vocabulary

            first_row = torch.arange(batch, device=source.device).unsqueeze(1) * kept
            state.reorder((first_row + parent).flatten())
            symbols = torch.cat(
                [symbols.gather(1, parent.unsqueeze(-1).expand(-1, -1, symbols.shape[2])), symbol.unsqueeze(-1)], dim=2
            )
            log_p = candidates.flatten(1).gather(1, chosen)
            length, running = length.gather(1, parent), running.gather(1, parent) & (symbol != EOS)
            if not running.any():
                break
    return Hypotheses(symbols[:, :, 1:], scores)
