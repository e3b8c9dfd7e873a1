"""Drawing the next token instead of taking the most probable one: temperature, top-k and top-p."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attnbook._validation import check_number, check_size
from attnbook.transformer.generation import Choose


def probabilities(
    logits: Float[Tensor, "batch vocabulary"],
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Float[Tensor, "batch vocabulary"]:
    """What is drawn from, in float64: softmax(logits / temperature), less what is cut off, rescaled to the sum 1.

    temperature: below 1 sharpens, above 1 flattens. top_k: the k most probable tokens stay. top_p: of those, the most
    probable ones stay until they hold at least the share top_p; the token that reaches it stays too. Of equal
    tokens the one with the smaller number counts as more probable.
    Raises: TypeError or ValueError for a temperature that is not above 0, a top_k below 1, a top_p outside (0, 1].
    Source: Fan et al. (2018), Section 5, top-k; Holtzman et al. (2020), Section 3.1, top-p ("nucleus").
    """
    check_number("temperature", temperature)
    if not 0 < temperature < float("inf"):
        raise ValueError(
            f"temperature must be above 0 and finite (the limit 0 is the greedy choice); got {temperature}"
        )
    if top_k is not None:
        check_size("top_k", top_k, least=1)
    if top_p is not None:
        check_number("top_p", top_p)
        if not 0 < top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1; got {top_p}")
    p = (logits.double() / temperature).softmax(dim=-1)
    ranked, order = p.sort(dim=-1, descending=True, stable=True)
    if top_k is not None:
        ranked[:, top_k:] = 0
    if top_p is not None:
        ranked = ranked / ranked.sum(dim=-1, keepdim=True)
        before = ranked.cumsum(dim=-1) - ranked  # the share of the tokens that are more probable
        ranked = ranked.masked_fill(before >= top_p, 0)
    ranked = ranked / ranked.sum(dim=-1, keepdim=True)
    return torch.zeros_like(p).scatter(-1, order, ranked)


def draw(p: Float[Tensor, "batch vocabulary"], generator: torch.Generator) -> Int[Tensor, " batch"]:
    """One token for each row, with these probabilities.

    The tokens lie one after the other on the line from 0 to 1, each as long as it is probable, the longest first; a
    random point falls on one of them. So the same generator gives the same token even where p differs by a rounding
    error, unless the point falls on a border.
    """
    ranked, order = p.sort(dim=-1, descending=True, stable=True)
    ends = ranked.cumsum(dim=-1)
    point = torch.rand(len(p), 1, generator=generator, dtype=torch.float64).to(p.device) * ends[:, -1:]
    return order.gather(-1, torch.searchsorted(ends, point, right=True))[:, 0]


def sampler(
    generator: torch.Generator, *, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Choose:
    """A `choose` for generate(): draws from `probabilities` with these options. The generator is on the CPU."""
    probabilities(torch.zeros(1, 1), temperature=temperature, top_k=top_k, top_p=top_p)  # errors now, not while writing

    def choose(logits: Tensor) -> Tensor:
        return draw(probabilities(logits, temperature=temperature, top_k=top_k, top_p=top_p), generator)

    return choose
