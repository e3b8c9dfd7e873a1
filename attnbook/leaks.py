"""Which inputs reach which outputs: two experiments that tell whether a mask does what it says.

Change an input that must be hidden: no output may move. Change one that must be seen: the output must move. Both ask
nothing about how the model was written, so they work on a layer, a whole model, and other people's code.

Axes: n outputs, m inputs, d and d_in their sizes. Where n differs from m, the outputs stand at the last positions, as
in `attnbook.masks`.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool
from torch import Tensor

from attnbook import masks
from attnbook._validation import check_mask, check_number, check_size, shape

SIZES = (1.0, 10.0, 0.1, 100.0)  # of the changes, by turns, in units of x: a small one may not move a softmax

Influence = Bool[Tensor, "*batch n m"]
Function = Callable[[Tensor], Tensor]


def influence(
    function: Function,
    x: Tensor,
    *,
    vocabulary: int | None = None,
    draws: int = 8,
    tolerance: float = 0.0,
    seed: int = 0,
) -> Influence:
    """True at [i, j] where output i changed when input j was changed at random, in any of `draws` trials.

    Shapes: function maps x to (..., n, d). x is (..., m, d_in) if its numbers are floats; whole numbers are taken for
    tokens, (..., m), and are changed to other tokens below `vocabulary`. Leading axes of the output stay: (..., n, m).
    An input is changed in all sequences of a batch at once. tolerance: outputs that differ by at most this count as
    equal; 0 by default, as a weight of exactly 0 leaves no trace at all.
    True is a proof. False is strong evidence: a leak that needs one special input, or another length, is not met.
    Raises: TypeError or ValueError for arguments of the wrong kind; ValueError where two calls on the same x differ (a
    dropout is on: model.eval()) or an output is not finite (a NaN hides every change).
    """
    _check(x, vocabulary, draws, tolerance)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        before = _finite_output(function, x)
        if not torch.equal(before, function(x)):
            raise ValueError("function must give the same output for the same input; it did not (is a dropout on?)")
        columns = []
        for j in range(x.shape[_length_axis(x)]):
            moved = torch.zeros(before.shape[:-1], dtype=torch.bool, device=before.device)
            for draw in range(draws):
                after = function(_changed(x, j, SIZES[draw % len(SIZES)], vocabulary, generator))
                moved |= ~((after - before).abs() <= tolerance).all(dim=-1)  # not `>`: a NaN is a change as well
            columns.append(moved)
    if not columns:
        return torch.zeros(*before.shape[:-1], 0, dtype=torch.bool, device=before.device)
    return torch.stack(columns, dim=-1)


def assert_mask(function: Function, x: Tensor, mask: Bool[Tensor, "..."], **options: object) -> None:
    """Both experiments: every output moves with the inputs that the mask shows it, and with no other.

    mask: boolean, True where output i may see input j; it broadcasts to the influence (..., n, m). options and shapes
    as in `influence`. Beware of residual connections: with one, every output sees its own position.
    Raises: AssertionError that names the first pair that is not as the mask says; for the rest as `influence`.
    """
    found = influence(function, x, **options)
    check_mask(mask, found.shape, found.device)
    mask = mask.expand(found.shape)
    _raise_at(found & ~mask, "output {i} changes when input {j} changes{where}, which the mask hides")
    _raise_at(mask & ~found, "output {i} does not change when input {j} changes{where}, which the mask shows")


def assert_causal(function: Function, x: Tensor, **options: object) -> None:
    """No output moves with a later input. (Whether it moves with all earlier ones is for `assert_mask` to say.)

    options and shapes as in `influence`. Call it in both modes, model.train() without dropout and model.eval().
    Raises: AssertionError that names the first leak, "output 2 changes when input 5 changes", and if nothing moves at
    all, since then nothing was tested; for the rest as `influence`.
    """
    found = influence(function, x, **options)
    past = masks.causal(*found.shape[-2:], device=found.device)
    _raise_at(found & ~past, "output {i} changes when input {j} changes{where}: it sees the future")
    if found.numel() and not found.any():
        raise AssertionError("no output changes, whichever input is changed: nothing was tested")


def _check(x: object, vocabulary: object, draws: object, tolerance: object) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(f"x must be a torch.Tensor; got {type(x).__name__}")
    if x.dtype == torch.bool or x.is_complex():
        raise TypeError(f"x must hold floats (..., inputs, dim) or whole numbers (..., inputs); got dtype {x.dtype}")
    if x.dim() < (2 if x.is_floating_point() else 1):
        raise ValueError(f"x must have shape (..., inputs, dim), or (..., inputs) for tokens; got {shape(x)}")
    if not x.is_floating_point():
        if vocabulary is None:
            raise ValueError("vocabulary must be given for tokens: the number of different tokens there are; got None")
        check_size("vocabulary", vocabulary, least=2)
        if x.numel() and not 0 <= int(x.min()) <= int(x.max()) < vocabulary:
            raise ValueError(f"x must hold tokens from 0 to vocabulary - 1 = {vocabulary - 1}; got {x.tolist()}")
    elif vocabulary is not None:
        raise ValueError(f"vocabulary must be None where x holds floats; got {vocabulary}")
    check_size("draws", draws, least=1)
    check_number("tolerance", tolerance)
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be at least 0; got {tolerance}")


def _length_axis(x: Tensor) -> int:
    return -2 if x.is_floating_point() else -1


def _finite_output(function: Function, x: Tensor) -> Tensor:
    output = function(x)
    if not isinstance(output, Tensor):
        raise TypeError(f"function must return one torch.Tensor (..., outputs, dim); got {type(output).__name__}")
    if output.dim() < 2 or not output.is_floating_point():
        raise ValueError(f"function must return floats (..., outputs, dim); got {shape(output)}, {output.dtype}")
    if not output.isfinite().all():
        i = int((~output.isfinite()).nonzero()[0][-2])
        raise ValueError(f"function must return finite numbers, as NaN hides every change; output {i} is not finite")
    return output


def _changed(x: Tensor, j: int, size: float, vocabulary: int | None, generator: torch.Generator) -> Tensor:
    """x with other numbers, or other tokens, at position j."""
    changed = x.clone()
    if x.is_floating_point():
        noise = torch.randn(x[..., j, :].shape, generator=generator, dtype=torch.float64)
        unit = max(1.0, x.abs().double().mean().item())
        changed[..., j, :] += (size * unit * noise).to(x)
    else:
        step = torch.randint(1, vocabulary, x[..., j].shape, generator=generator).to(x)
        changed[..., j] = (x[..., j] + step) % vocabulary
    return changed


def _raise_at(pairs: Tensor, message: str) -> None:
    """Name the first pair: sequence by sequence, the earliest output first, then the earliest input."""
    if pairs.any():
        *sequence, i, j = pairs.nonzero()[0].tolist()
        several = pairs.shape[:-2].numel() > 1
        where = f" (in sequence {', '.join(map(str, sequence))})" if several else ""
        raise AssertionError(message.format(i=i, j=j, where=where))
