"""What did the answer depend on? Measures to hold beside attention weights, and other weights with the same output.

An answer is one number that a model gives. Each measure gives a number for each token, or for each key; which of them
agree is told by `kendall`, which compares orders and not sizes.

Axes: n tokens, d the size of their vectors; m keys, d_v the size of a value.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attnbook._validation import check_size, check_vectors, check_whole_numbers, shape
from attnbook.scores import widen


def leave_one_out(
    answer: Callable[[Tensor], Tensor], tokens: Int[Tensor, " n"], positions: Sequence[int] | None = None
) -> Float[Tensor, " positions"]:
    """answer(all tokens) - answer(the tokens without the one at j), for each j of positions (all if None).

    answer: (batch, n) tokens -> (batch,) numbers; it must take n - 1 tokens as well. Positive: the token raises the
    answer. Markers such as [CLS] are kept by leaving them out of positions.
    Raises: ValueError for tokens of another shape than (n,), n at least 2, or a position that is not there.
    Source: Li et al. (2016), "Understanding Neural Networks through Representation Erasure", Section 3, for words.
    """
    check_whole_numbers("tokens", tokens)
    if tokens.dim() != 1 or len(tokens) < 2:
        raise ValueError(f"tokens must have shape (n,), n at least 2; got {shape(tokens)}")
    n = len(tokens)
    positions = range(n) if positions is None else positions
    for j in positions:
        if not 0 <= j < n:
            raise ValueError(f"positions must be from 0 to {n - 1}; got {j}")
    if not len(positions):
        raise ValueError("positions must name at least one token; got none")
    shorter = torch.stack([torch.cat([tokens[:j], tokens[j + 1 :]]) for j in positions])
    return answer(tokens.unsqueeze(0)) - answer(shorter)


def gradient_times_input(answer: Callable[[Tensor], Tensor], x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """x_j · ∂answer/∂x_j for each token's vector: how much the answer would fall if it were linear and x_j became 0.

    answer: (batch, n, d) vectors -> (batch,) numbers.
    Source: Shrikumar et al. (2016), Section 2.
    """
    _check_tokens(x)
    return integrated_gradients(answer, x, torch.zeros_like(x), steps=1, at_the_end=True)


def integrated_gradients(
    answer: Callable[[Tensor], Tensor],
    x: Float[Tensor, "n d"],
    baseline: Float[Tensor, "n d"],
    *,
    steps: int = 50,
    at_the_end: bool = False,
) -> Float[Tensor, " n"]:
    """(x_j - x'_j) · the mean gradient on the straight line from the baseline x' to x, for each token's vector.

    The numbers sum to answer(x) - answer(baseline), up to the error of the midpoint rule with this many steps.
    at_the_end: take the gradient at x alone.
    Raises: TypeError or ValueError for x or a baseline of another shape, or steps below 1.
    Source: Sundararajan et al. (2017), Section 3.
    """
    _check_tokens(x)
    check_vectors("baseline", baseline)
    if baseline.shape != x.shape:
        raise ValueError(f"baseline must have the shape of x, {shape(x)}; got {shape(baseline)}")
    check_size("steps", steps, least=1)
    along = torch.ones(1) if at_the_end else (torch.arange(steps) + 0.5) / steps
    along = along.to(x)[:, None, None]
    points = (baseline + along * (x - baseline)).detach().requires_grad_()
    with torch.enable_grad():
        (gradients,) = torch.autograd.grad(answer(points).sum(), points)  # a row's answer hears its own row alone
    return ((x - baseline) * gradients.mean(dim=0)).sum(dim=-1).detach()


def contributions(
    weights: Float[Tensor, "*heads n m"], value: Float[Tensor, "*heads m d_v"]
) -> Float[Tensor, "*heads n m"]:
    """‖alpha_ij v_j‖ = alpha_ij ‖v_j‖: the length of what key j adds to output i, where the weight says only its share.

    To see what a head adds to the model's own vectors, give the values after its part of the output projection,
    v_j W_o.
    Raises: TypeError or ValueError for shapes that do not fit.
    Source: Kobayashi et al. (2020), Sections 2.2 and 3.
    """
    check_vectors("weights", weights)
    check_vectors("value", value)
    if value.shape[:-1] != (*weights.shape[:-2], weights.shape[-1]):
        raise ValueError(
            f"value must have a row for each of the {weights.shape[-1]} keys and the leading axes of weights; got "
            f"shape {shape(value)} for weights {shape(weights)}"
        )
    return (widen(weights) * widen(value).norm(dim=-1).unsqueeze(-2)).to(weights.dtype)


def same_output(weights: Float[Tensor, " m"], value: Float[Tensor, "m d_v"], away: int) -> Float[Tensor, " m"]:
    """Another row of weights with the same output: not negative, sum 1, and less of it on the key `away`.

    Any change delta with delta @ value = 0 and a sum of 0 keeps the output. There is one wherever m is more than d_v
    + 1, and by chance for fewer keys. Among these changes the one that takes most from `away` for its length is
    walked until a weight is 0; then the others go on. What comes back need not be the farthest such row. Computed in
    float64. The row may come back as it was: if the values leave no room, or the key has no weight.
    Raises: TypeError or ValueError for shapes that do not fit or a key that is not there.
    Source: Brunner et al. (2020), Section 3, for the space of the changes.
    """
    _check_row("weights", weights)
    check_vectors("value", value)
    if value.dim() != 2 or len(value) != len(weights):
        raise ValueError(f"value must have shape (m, d_v), m = {len(weights)} as in weights; got {shape(value)}")
    if not 0 <= away < len(weights):
        raise ValueError(f"away must be from 0 to {len(weights) - 1}; got {away}")
    row, kept = weights.double().clone(), torch.cat([value.double(), value.new_ones(len(value), 1).double()], dim=1)
    free = row > 0
    while free[away]:
        places = free.nonzero()[:, 0]
        basis, sizes, _ = torch.linalg.svd(kept[places], full_matrices=False)
        heard = basis[:, sizes > 1e-10 * sizes[0]]  # columns: changes that the output or the sum hears
        delta = heard @ heard[places == away][0] - (places == away).double()  # of "less on away", what neither hears
        if not delta.norm() > 1e-9:
            break
        falling = delta < -1e-14
        step = (row[places][falling] / -delta[falling]).min()
        row[places] += step * delta
        empty = places[row[places] < 1e-13]
        row[empty], free[empty] = 0.0, False
    return row


def kendall(a: Float[Tensor, " n"], b: Float[Tensor, " n"]) -> float:
    """Kendall's tau-b: of all pairs of places, those in the same order less those in the opposite one, as a share.

    1 the same order, -1 the reverse, about 0 for unrelated numbers. Pairs tied in a or in b count for neither, and the
    share is of the root of (pairs not tied in a) x (pairs not tied in b); 0 where all of a or all of b is tied.
    Raises: TypeError or ValueError for a and b that are not two rows of the same length, at least 2.
    Source: Kendall (1945), "The Treatment of Ties in Ranking Problems".
    """
    _check_row("a", a)
    _check_row("b", b)
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"b must have the length of a, and both at least 2; got {len(a)} and {len(b)}")
    first, second = ((x.unsqueeze(1) - x.unsqueeze(0)).sign().double() for x in (a, b))
    possible = (first.square().sum() * second.square().sum()).sqrt()
    return float((first * second).sum() / possible) if possible > 0 else 0.0


def _check_tokens(x: Tensor) -> None:
    check_vectors("x", x)
    if x.dim() != 2:
        raise ValueError(f"x must have shape (n, d); got {shape(x)}")


def _check_row(name: str, x: object) -> None:
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise TypeError(f"{name} must be a floating-point torch.Tensor; got {getattr(x, 'dtype', type(x).__name__)}")
    if x.dim() != 1:
        raise ValueError(f"{name} must be one row of numbers, (n,); got shape {shape(x)}")
