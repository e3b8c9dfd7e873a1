"""What is wrong with an attention layer? Experiments that change one thing and see what moves.

Each experiment knows what a right layer does, whatever its weights, and asks nothing about how the layer was written,
so it works on other people's code. What all of them miss: a layer that is another one than was meant, and sound (no
scale, another number of heads). For those, compare with a reference on the same weights.

Axes: batch sequences of n tokens, vectors of size d.
"""

import copy
import textwrap
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnbook import masks
from attnbook._validation import check_vectors, shape
from attnbook.leaks import influence

TOLERANCE = 1e-5  # of the largest output: rounding in float32 stays below it
HALF_TOLERANCE = 0.02  # the same for float16, which keeps eleven bits

# What each experiment changes, and the mistakes that usually make it fail. Chapter 20 plants most of them.
EXPERIMENTS = {
    "finite": (
        "nothing: are all outputs numbers, and the same twice?",
        "a row with every key hidden (the last: mask upside down; the first: diagonal off by one); dropout that is on",
    ),
    "batch": (
        "the other sequences of the batch: no output may move",
        "batch_first, so that it attends across the batch; axes mixed up by a reshape",
    ),
    "sum": (
        "one token into n copies of it: their average is the token's own output",
        "softmax over the queries; mask after the softmax; no softmax; heads split or joined without the transpose",
    ),
    "future": (
        "a later token: no earlier output may move",
        "no causal mask, or one in training alone; diagonal off by one; scores multiplied by the mask; mask after the "
        "softmax; softmax over the queries; heads split or joined without the transpose",
    ),
    "past": (
        "an earlier token, or the token itself: the output must move",
        "diagonal off by one; mask upside down; heads split or joined without the transpose; batch_first",
    ),
    "prefix": (
        "the length: the first tokens alone give the outputs that they give in the longer text",
        "whatever leaks the future; a statistic over the whole length",
    ),
    "order": (
        "the order of the tokens: the outputs change places with them, or, with positions, do not",
        "heads split or joined without the transpose; positions that are computed and not added",
    ),
    "content": (
        "the tokens into sums of tokens: the outputs must not simply add up",
        "queries and keys that are not used: a fixed average",
    ),
    "padding": (
        "a token that is marked as padding: no output of a real token may move",
        "padding mask not used, upside down, or on the query axis; most of what leaks the future",
    ),
    "large": (
        "the tokens into 1000 times as large ones: the outputs stay finite",
        "a softmax by hand without its maximum taken off",
    ),
    "mode": (
        "training into evaluation, without dropout: no output may move",
        "a mask, or a shortcut, that depends on the mode",
    ),
    "half": (
        "float32 into float16: the outputs stay finite and near",
        "-1e9 in a mask; large scores, or a softmax by hand",
    ),
    "gradient": (
        "each weight matrix a little: the outputs must move, and their gradient is finite",
        "a projection that is not used; a detached tensor; a row with every key hidden",
    ),
}


class Finding(NamedTuple):
    """The result of one experiment. ok is None where it could not be run, and `says` tells why."""

    name: str
    ok: bool | None
    says: str


def diagnose(
    layer: Callable[..., Tensor],
    x: Float[Tensor, "batch n d"],
    *,
    causal: bool = False,
    positions: bool = False,
    padding: bool = False,
) -> list[Finding]:
    """Run the experiments that apply, in the order of EXPERIMENTS, and say what each saw.

    layer: self-attention, layer(x) -> (batch, n, d); with padding=True also layer(x, real), real (batch, n) and True
    at real tokens. Without residual connections (they show every token to its own output). x: at least 2 sequences of
    at least 3 tokens, all different. causal: it must not see later tokens. positions: it must tell the order of the
    tokens. "mode", "half" and "gradient" need an nn.Module. The layer is copied, not changed.
    Raises: TypeError or ValueError for x of another shape.
    """
    check_vectors("x", x)
    if x.dim() != 3 or x.shape[0] < 2 or x.shape[1] < 3:
        raise ValueError(f"x must have shape (batch, n, d), batch at least 2 and n at least 3; got {shape(x)}")
    is_module = isinstance(layer, nn.Module)
    if is_module:
        layer, trained, half = copy.deepcopy(layer).eval(), copy.deepcopy(layer).train(), copy.deepcopy(layer).half()
    findings: list[Finding] = []

    def run(name: str, experiment: Callable[[], str | None]) -> None:
        if findings and not findings[0].ok:
            return findings.append(Finding(name, None, "not run: the outputs are not finite, or differ by themselves"))
        try:
            with torch.set_grad_enabled(name == "gradient"):
                trouble = experiment()
        except Exception as error:  # it is other people's code that runs here
            trouble = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        return findings.append(Finding(name, trouble is None, trouble or "as it should be"))

    run("finite", lambda: _finite(layer, x))
    run("batch", lambda: _differs(layer(x)[-1:], layer(x[-1:]), "alone, the last sequence gives other outputs"))
    run("sum", lambda: _sum(layer, x))
    if causal:
        seen = masks.causal(x.shape[1])
        run("future", lambda: _pair(influence(layer, x) & ~seen, "output {i} changes when input {j} changes"))
        run("past", lambda: _pair(seen & ~influence(layer, x), "output {i} does not change when input {j} changes"))
        run("prefix", lambda: _differs(layer(x)[:, :2], layer(x[:, :2]), "two tokens alone give other outputs"))
    else:
        run("order", lambda: _order(layer, x, positions))
    run("content", lambda: _content(layer, x))
    if padding:
        run("padding", lambda: _padding(layer, x, positions))
    run("large", lambda: None if layer(1000 * x).isfinite().all() else "with tokens 1000 times as large: not finite")
    if is_module:
        run("mode", lambda: _differs(layer(x), trained(x), "in training mode the outputs are others"))
        run("half", lambda: _half(layer, half.eval(), x))
        run("gradient", lambda: _gradient(layer, x))
    return findings


def report(findings: list[Finding]) -> str:
    """What failed, what each failure is usually caused by, and what could not be run: lines of at most 66 letters."""
    lines = []
    for name, ok, says in findings:
        if not ok:
            lines += textwrap.wrap(f"{name}: {says}", 66, subsequent_indent="    ")
        if ok is False:
            lines += textwrap.wrap(
                f"often: {EXPERIMENTS[name][1]}", 66, initial_indent="    ", subsequent_indent=" " * 11
            )
    return "\n".join(lines) or f"{len(findings)} experiments, nothing found"


def _differs(a: Tensor, b: Tensor, message: str, tolerance: float = TOLERANCE) -> str | None:
    """The message with the size of the difference, in parts of the largest output, if it is more than rounding."""
    difference = ((a - b).abs().max() / a.abs().max().clamp(min=1e-30)).item()
    return None if difference <= tolerance else f"{message} (by {difference:.2g} of the largest output)"


def _pair(pairs: Tensor, message: str) -> str | None:
    if not pairs.any():
        return None
    _, i, j = pairs.nonzero()[0].tolist()
    return message.format(i=i, j=j)


def _finite(layer: Callable[..., Tensor], x: Tensor) -> str | None:
    output = layer(x)
    if not output.isfinite().all():
        i = int((~output.isfinite()).nonzero()[0][1])
        return f"output {i} is not finite"
    return None if torch.equal(output, layer(x)) else "two calls on the same input give two outputs"


def _sum(layer: Callable[..., Tensor], x: Tensor) -> str | None:
    one = x[:, :1]
    copies = layer(one.expand(-1, x.shape[1], -1).contiguous())
    return _differs(layer(one).expand_as(copies), copies, "copies of one token give another output than the token")


def _order(layer: Callable[..., Tensor], x: Tensor, positions: bool) -> str | None:
    trouble = _differs(layer(x).flip(1), layer(x.flip(1)), "in reverse order, the tokens get other outputs")
    if positions:
        return None if trouble else "in reverse order, every token gets the same output: its position does not count"
    return trouble


def _content(layer: Callable[..., Tensor], x: Tensor) -> str | None:
    zero, other = torch.zeros_like(x), x.roll(1, dims=0)
    added = layer(x) + layer(other) - layer(zero)
    if _differs(layer(x + other), added, ""):
        return None
    return "the outputs of a sum of tokens are the sum of the outputs: the weights do not depend on the tokens"


def _padding(layer: Callable[..., Tensor], x: Tensor, positions: bool) -> str | None:
    """The second token is the padding: in the middle, so that a causal mask alone does not hide it from the rest."""
    kept = [j for j in range(x.shape[1]) if j != 1]
    real = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    real[:, 1] = False
    changed = x.clone()
    changed[:, 1] = 3 * x.roll(1, dims=0)[:, 1] + 1
    before, after = (layer(inputs, real)[:, kept] for inputs in (x, changed))
    if not before.isfinite().all():
        return "with padding, an output of a real token is not finite"
    trouble = _differs(before, after, "outputs of real tokens change when the padding changes")
    if trouble or positions:
        return trouble
    return _differs(before, layer(x[:, kept]), "outputs of real tokens differ from those without padding")


def _half(layer: nn.Module, half: nn.Module, x: Tensor) -> str | None:
    low = half(x.half()).to(x.dtype)
    if not low.isfinite().all():
        return "in float16 an output is not finite"
    return _differs(layer(x), low, "in float16 the outputs are others", HALF_TOLERANCE)


def _gradient(layer: nn.Module, x: Tensor) -> str | None:
    output = layer(x)
    aim = torch.cos(torch.arange(output.numel(), dtype=output.dtype, device=output.device)).view_as(output)
    matrices = {name: p for name, p in layer.named_parameters() if p.dim() > 1}  # a bias of the keys moves nothing
    if not matrices:
        return None
    gradients = torch.autograd.grad((output * aim).sum(), list(matrices.values()), allow_unused=True)
    for name, gradient in zip(matrices, gradients, strict=True):
        if gradient is None or not gradient.any():
            return f"{name} has no influence on the output"
        if not gradient.isfinite().all():
            return f"the gradient of {name} is not finite"
    return None
