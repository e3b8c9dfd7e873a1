"""From strings to strings: what a trained model makes of sources it is given."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from attnbook._validation import check_size
from attnbook.data.batches import pad
from attnbook.data.vocabulary import Vocabulary


class Decoded(NamedTuple):
    """A model's answer to one source."""

    symbols: list[str]  # without the end symbol
    weights: Float[Tensor, "targets sources"] | None  # with the end symbols of both; None without attention


def decode(
    model: nn.Module,
    sources: Sequence[Sequence[str]],
    source_vocabulary: Vocabulary,
    target_vocabulary: Vocabulary,
    *,
    max_length: int,
    batch_size: int = 500,
) -> list[Decoded]:
    """The greedy answer to each source, in the order given, computed in batches of about the same length.

    model: anything with `greedy(source, max_length=...) -> (numbers, weights or None)`, as `Seq2Seq` has it.
    Weights are cut to the row's own length: one row for each symbol written and one for its end symbol (none where
    max_length came first), one column for each symbol read and one for its end symbol.
    Raises: TypeError or ValueError for a max_length or batch_size below 1.
    """
    check_size("max_length", max_length, least=1)
    check_size("batch_size", batch_size, least=1)
    device = next(model.parameters()).device
    by_length = sorted(range(len(sources)), key=lambda i: len(sources[i]))
    decoded: list[Decoded | None] = [None] * len(sources)
    for begin in range(0, len(by_length), batch_size):
        chosen = by_length[begin : begin + batch_size]
        source = pad([source_vocabulary.encode(sources[i]) for i in chosen]).to(device)
        numbers, weights = model.greedy(source, max_length=max_length)
        for row, i in enumerate(chosen):
            symbols = target_vocabulary.decode(numbers[row])
            written = int((numbers[row] != 0).sum())
            own = None if weights is None else weights[row, :written, : len(sources[i]) + 1].clone()
            decoded[i] = Decoded(symbols, own)
    return decoded


def parameters(model: nn.Module) -> int:
    """How many numbers the model learns."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
