"""Chapter 20: questions, answered by running them."""

import math

import torch

from attnbook.exercises import properties
from attnbook.exercises.kinds import Choice, ChoiceExercise, FunctionExercise, Mistake, NumberExercise, WrongNumber

# ---- Squares


def key_rows(numbers):
    return torch.stack([2 * numbers, -(numbers**2)], dim=-1)


def some_numbers(draw, m):
    return {"numbers": draw.normal(m)}


def nearest_wins(call, inputs):
    rows = call(inputs)
    for asked, number in zip(inputs["numbers"], inputs["numbers"], strict=True):
        scores = rows @ torch.stack([asked, torch.ones(())])
        best = inputs["numbers"][scores.argmax()]
        if abs(best - asked) > 1e-4:
            return f"asked for {number:.1f}, the largest dot product is that of {best:.1f}"
    return None


SQUARES = FunctionExercise(
    name="squares-for-the-keys",
    chapter=20,
    title="Near, by a dot product",
    level="Warm-up",
    minutes=6,
    statement=r"""
A query that asks for the number `x` is the row `(x, 1)`. Given the keys' `numbers`, `(m,)`, return their rows, `(m,
2)`, such that the
dot product of query and key is $x^2$ less the square of the distance, `x**2 - (x - y)**2`. The nearest key has the
largest one.
""",
    hints=("Multiply out (x − y)². Which term is left when x² is added?", "2xy − y²: what stands with x, what with 1?"),
    reference=key_rows,
    inputs=some_numbers,
    cases=({"m": 1}, {"m": 2}, {"m": 3}, {"m": 5}, {"m": 9}),
    properties=(
        properties.Property("nearest", "The nearest number has the largest dot product.", nearest_wins),
        properties.finite(),
    ),
    mistakes=(
        Mistake("without the 2", (("2 * numbers", "numbers"),), "Multiplied out, the middle term is 2xy."),
        Mistake("plus the square", (("-(numbers**2)", "numbers**2"),), "The square of y is subtracted."),
        Mistake("no square", (("-(numbers**2)", "-numbers"),), "The last term is the square of the key's number."),
        Mistake(
            "the rows the other way round",
            (("[2 * numbers, -(numbers**2)]", "[-(numbers**2), 2 * numbers]"),),
            "The query is (x, 1): the first number of a row is multiplied by x.",
        ),
        Mistake("minus 2xy", (("2 * numbers", "-2 * numbers"),), "−(x − y)² has +2xy: the minus meets a minus."),
        Mistake(
            "the size for the square",
            (("-(numbers**2)", "-numbers.abs()"),),
            "The last term is the square, not the size.",
        ),
        Mistake("the square twice", (("-(numbers**2)", "-2 * numbers**2"),), "The square of y stands there once."),
        Mistake("columns for keys", (("dim=-1", "dim=0"),), "One row for each key: (m, 2)."),
    ),
)

# ---- The scale


def scale(query, key, weights):
    products = query @ key.mT
    dx = products - products.mean(dim=-1, keepdim=True)
    return (dx * weights.log()).sum() / (dx * dx).sum()


def weights_with_a_scale(draw, n, m, d, tenths):
    query, key = draw.normal(n, d), draw.normal(m, d)
    return {"query": query, "key": key, "weights": (tenths / 10 * query @ key.mT).softmax(dim=-1)}


def halves_with_double_queries(call, inputs):
    before, after = call(inputs), call({**inputs, "query": 2 * inputs["query"]})
    gap = (before - 2 * after).abs().max().item()
    return None if gap < 1e-3 else "the queries were doubled at the same weights, and the scale was not halved"


SCALE = FunctionExercise(
    name="measure-the-scale",
    chapter=20,
    title="Measure the scale",
    level="Challenge",
    minutes=15,
    statement=r"""
Some code computed `weights`, `(n, m)`, as the softmax of `c * query @ key.T` over the keys, and you do not know `c`.
Given `query`, `(n, d)`, `key`, `(m, d)`, and the weights, return `c`: a tensor with one number. There are at least two
keys.
""",
    hints=(
        "The logarithm of a weight is c times the dot product, less a number that is the same for the whole row.",
        "Take each row's mean off the products: dx. What is the same for a whole row drops out of sums with dx.",
        "The slope: the sum of dx times the logarithms over the sum of dx · dx.",
    ),
    reference=scale,
    inputs=weights_with_a_scale,
    cases=(
        {"n": 1, "m": 2, "d": 1, "tenths": 10},
        {"n": 1, "m": 3, "d": 2, "tenths": 5},
        {"n": 2, "m": 3, "d": 2, "tenths": 20},
        {"n": 3, "m": 4, "d": 4, "tenths": 5},
        {"n": 4, "m": 6, "d": 9, "tenths": 3},
        {"n": 5, "m": 3, "d": 3, "tenths": 12},
    ),
    smallest={"m": 2},
    properties=(
        properties.finite(),
        properties.Property(
            "halves", "Queries twice as long at the same weights: half the scale.", halves_with_double_queries
        ),
    ),
    mistakes=(
        Mistake(
            "weights for logarithms",
            (("weights.log()", "weights"),),
            "Weights are not proportional to the products: their logarithms are, up to a number for each row.",
        ),
        Mistake(
            "rows not centered",
            (("products - products.mean(dim=-1, keepdim=True)", "products"),),
            "The softmax takes a number off each row: take each row's mean off as well.",
        ),
        Mistake(
            "centered over the queries",
            (("products.mean(dim=-1", "products.mean(dim=0"),),
            "The number that the softmax takes off is one for each row: the mean goes over the keys.",
        ),
        Mistake(
            "centered over everything",
            (("products.mean(dim=-1, keepdim=True)", "products.mean()"),),
            "The number that the softmax takes off is another one in each row.",
        ),
        Mistake(
            "the inverse",
            (("(dx * weights.log()).sum() / (dx * dx).sum()", "(dx * dx).sum() / (dx * weights.log()).sum()"),),
            "That is 1 / c: divide by the squares of the products.",
        ),
        Mistake(
            "in parts of 1/√d",
            (("(dx * dx).sum()", "(dx * dx).sum() * query.shape[-1] ** 0.5"),),
            "c itself is asked for, not c over √d.",
        ),
        Mistake(
            "times √d",
            (("(dx * dx).sum()", "(dx * dx).sum() / query.shape[-1] ** 0.5"),),
            "c itself is asked for, not c in units of 1/√d.",
        ),
        Mistake(
            "logarithms to the base 2",
            (("weights.log()", "weights.log2()"),),
            "The softmax is made of powers of e.",
        ),
    ),
)

# ---- A listing to mend


def layer(x, W_Q, W_K, W_V, W_O, heads):
    n, d = x.shape
    q, k, v = ((x @ W).view(n, heads, d // heads).transpose(0, 1) for W in (W_Q, W_K, W_V))
    scores = q @ k.transpose(-2, -1) / (d // heads) ** 0.5
    seen = torch.ones(n, n, dtype=torch.bool).tril()
    weights = scores.masked_fill(~seen, -torch.inf).softmax(dim=-1)
    return (weights @ v).transpose(0, 1).reshape(n, d) @ W_O


def a_layer(draw, n, heads, d_head):
    d = heads * d_head
    matrices = {name: draw.normal(d, d) for name in ("W_Q", "W_K", "W_V", "W_O")}
    return {"x": draw.normal(n, d), **matrices, "heads": heads}


def copies(call, inputs):
    one = call({**inputs, "x": inputs["x"][:1]})
    gap = (call({**inputs, "x": inputs["x"][:1].expand_as(inputs["x"])}) - one).abs().max().item()
    if gap < 1e-3 * (1 + one.abs().max().item()):
        return None
    return "copies of one token get another output than the token alone: an average of equal values is that value"


MEND = FunctionExercise(
    name="mend-the-layer",
    chapter=20,
    title="Five bugs in six lines",
    level="Challenge",
    minutes=15,
    statement=r"""
Causal multi-head self-attention for one text `x`, `(n, d)`, with square matrices and no biases. The listing runs, and
five things in it are wrong. Mend it.
""",
    hints=(
        "Go through the lines: how are heads split, what is the scale, where does the mask stand, over which axis goes "
        "the softmax, how are heads joined?",
        "A projection has the shape (n, d). Its last axis holds the heads one after the other.",
    ),
    reference=layer,
    inputs=a_layer,
    cases=(
        {"n": 1, "heads": 1, "d_head": 1},
        {"n": 2, "heads": 1, "d_head": 2},
        {"n": 2, "heads": 2, "d_head": 1},
        {"n": 3, "heads": 2, "d_head": 2},
        {"n": 4, "heads": 2, "d_head": 3},
        {"n": 5, "heads": 4, "d_head": 2},
    ),
    given="""
def layer(x, W_Q, W_K, W_V, W_O, heads):
    n, d = x.shape
    q, k, v = ((x @ W).view(heads, n, d // heads) for W in (W_Q, W_K, W_V))
    scores = q @ k.transpose(-2, -1) / d**0.5
    seen = torch.ones(n, n, dtype=torch.bool).tril()
    weights = scores.softmax(dim=-2) * seen
    return (weights @ v).reshape(n, d) @ W_O
""",
    properties=(properties.finite(), properties.Property("copies", "Copies of one token give its output.", copies)),
    mistakes=(
        Mistake(
            "heads still split by view",
            ((".view(n, heads, d // heads).transpose(0, 1)", ".view(heads, n, d // heads)"),),
            "view alone gives a head whole tokens: view as (n, heads, d_head), then exchange the first two axes.",
        ),
        Mistake(
            "heads still joined by reshape",
            (("(weights @ v).transpose(0, 1).reshape(n, d)", "(weights @ v).reshape(n, d)"),),
            "Exchange heads and positions before the reshape, as you did when splitting.",
        ),
        Mistake(
            "scale of the whole width",
            (("(d // heads) ** 0.5", "d**0.5"),),
            "The scale is that of a head: √(d / heads).",
        ),
        Mistake(
            "softmax over the queries",
            (("softmax(dim=-1)", "softmax(dim=-2).nan_to_num()"),),
            "Each query's weights sum to 1: the softmax goes over the keys, the last axis.",
        ),
        Mistake(
            "mask after the softmax",
            (
                (
                    "scores.masked_fill(~seen, -torch.inf).softmax(dim=-1)",
                    "scores.softmax(dim=-1) * seen",
                ),
            ),
            "Then the rows no longer sum to 1: hide the scores, before the softmax.",
        ),
        Mistake(
            "no mask",
            ((".tril()", ""),),
            "The layer must not see later tokens.",
        ),
        Mistake(
            "mask upside down",
            ((".tril()", ".triu()"),),
            "tril keeps a position and those before it; triu is the future.",
        ),
        Mistake("no scale", ((" / (d // heads) ** 0.5", ""),), "The scores are divided by √(d / heads)."),
        Mistake(
            "no output projection", ((".reshape(n, d) @ W_O", ".reshape(n, d)"),), "W_O joins what the heads found."
        ),
        Mistake(
            "scores times the mask",
            (("masked_fill(~seen, -torch.inf)", "mul(seen)"),),
            "A score of 0 is not hidden: e⁰ is 1.",
        ),
    ),
)

# ---- Numbers and questions


def gap():
    """Weight 1 / (1 + (m - 1) e^-g): the same at 64 keys as at 12."""
    return math.log(63 / 11)


GAP = NumberExercise(
    name="gap-for-more-keys",
    chapter=20,
    title="As sure among more",
    level="Practice",
    minutes=6,
    statement="""
The right key's score is larger than those of all other keys, which are equal, by a gap. By how much must the gap grow
so that the
weight on the right key is the same among 64 keys as among 12?
""",
    hints=("The weight is 1 / (1 + (m − 1) · e^(−gap)).", "(m − 1) · e^(−gap) must stay the same."),
    answer=gap,
    mistakes=(
        WrongNumber(
            "keys for other keys", lambda: math.log(64 / 12), "The right key is not one of the others: 63 and 11."
        ),
        WrongNumber("the ratio itself", lambda: 63 / 11, "The gap stands in an exponent: take the logarithm."),
        WrongNumber("base 2", lambda: math.log2(63 / 11), "The softmax is made of powers of e."),
        WrongNumber("base 10", lambda: math.log10(63 / 11), "The softmax is made of powers of e."),
        WrongNumber("the whole gap", lambda: math.log(63), "By how much it grows is asked for."),
        WrongNumber("the other way", lambda: math.log(11 / 63), "More keys need a larger gap."),
    ),
)

FINDINGS = ChoiceExercise(
    name="read-the-findings",
    chapter=20,
    title="Read the findings",
    level="Practice",
    minutes=4,
    statement=(
        "`diagnose` on a causal layer with padding reports *padding*, and nothing else. It must be one of these. Which?"
    ),
    hints=("Which of the four would also leak the future, or change the sums?",),
    choices=(
        Choice(
            "The padding mask hides queries instead of keys.",
            "Real tokens then still see the padding; without padding the layer is right.",
            right=True,
        ),
        Choice("The softmax goes over the queries.", "Then *sum* and *future* would fail as well."),
        Choice("The causal mask is one place off and shows the next token.", "Then *future* would fail as well."),
        Choice("The heads are split by view alone.", "Then tokens mix, and *future*, *past* and *sum* fail as well."),
    ),
)

STREAM = ChoiceExercise(
    name="which-for-a-stream",
    chapter=20,
    title="A stream that does not end",
    level="Practice",
    minutes=4,
    statement=(
        "A model listens to a stream for days and must sometimes repeat, word for word, a number that it heard hours "
        "ago. Its memory is fixed. What can you promise?"
    ),
    hints=("How many numbers does each form keep, and which of them are exact?",),
    choices=(
        Choice(
            "No form of attention alone: what is kept in full grows, and what does not grow forgets.",
            "A window drops it, a state of fixed size blurs it, a cache does not fit. Another memory must be added.",
            right=True,
        ),
        Choice("A sliding window does it.", "Hours ago is outside of every window that fits."),
        Choice(
            "Linear attention does it: its state never grows.", "The state is a sum; it cannot hold everything exactly."
        ),
        Choice("Exact attention with a cache does it.", "The cache grows with every token, for days."),
    ),
)

EXERCISES = (SQUARES, GAP, SCALE, MEND, FINDINGS, STREAM)
