"""Chapter 5: scores."""

import math

import torch

from attnbook.exercises import properties
from attnbook.exercises.kinds import Choice, ChoiceExercise, FunctionExercise, Mistake, NumberExercise, WrongNumber

# ---- Cosine scores


def cosine_scores(query, key, temperature):
    q_length = query.norm(dim=-1, keepdim=True)
    k_length = key.norm(dim=-1, keepdim=True)
    q_unit = query / q_length.clamp(min=1e-8)
    k_unit = key / k_length.clamp(min=1e-8)
    return q_unit @ k_unit.mT / temperature


def two_sets(draw, batch, n, m, d, temperature, zero=False):
    query, key = draw.normal(batch, n, d) + 0.05, draw.normal(batch, m, d) + 0.05
    if zero:
        key[:, 0] = 0.0
        query[:, -1] = 0.0
    return {"query": query, "key": key, "temperature": temperature}


def longer(inputs):
    return {**inputs, "query": 3.0 * inputs["query"], "key": 0.5 * inputs["key"]}


COSINE = FunctionExercise(
    name="cosine-scores",
    chapter=5,
    title="Directions only",
    level="Practice",
    minutes=10,
    statement="""
Write the cosine score: the cosine of the angle between each query and each key, divided by `temperature`, a
number. `query` has the shape `(batch, n, d)`, `key` `(batch, m, d)`. Return the scores, `(batch, n, m)`. A vector
of zeros has no direction: its scores are 0.
""",
    hints=(
        "Bring each vector to length 1, then take dot products.",
        "`query.norm(dim=-1, keepdim=True)` is the length of each query. For a vector of zeros divide by "
        "a small number, not by 0.",
    ),
    reference=cosine_scores,
    inputs=two_sets,
    cases=(
        {"batch": 1, "n": 1, "m": 2, "d": 2, "temperature": 1.0},
        {"batch": 1, "n": 2, "m": 2, "d": 2, "temperature": 0.5},
        {"batch": 1, "n": 2, "m": 3, "d": 2, "temperature": 2.0},
        {"batch": 2, "n": 3, "m": 5, "d": 4, "temperature": 0.1},
        {"batch": 3, "n": 3, "m": 3, "d": 3, "temperature": 1.0},
        {"batch": 2, "n": 2, "m": 3, "d": 3, "temperature": 0.5, "zero": True},
        {"batch": 4, "n": 4, "m": 4, "d": 4, "temperature": 0.25},
    ),
    properties=(
        properties.finite(),
        properties.unchanged(
            "length",
            "A cosine does not depend on how long the vectors are.",
            longer,
            "queries became 3 times and keys half as long",
        ),
    ),
    mistakes=(
        Mistake(
            "queries not normalized",
            (("query / q_length.clamp(min=1e-8)", "query"),),
            "The lengths of the queries still count.",
        ),
        Mistake(
            "keys not normalized",
            (("key / k_length.clamp(min=1e-8)", "key"),),
            "The lengths of the keys still count: a long key wins whatever its direction.",
        ),
        Mistake(
            "nothing normalized",
            (("query / q_length.clamp(min=1e-8)", "query"), ("key / k_length.clamp(min=1e-8)", "key")),
            "This is the dot product over the temperature.",
        ),
        Mistake(
            "normalized over the positions",
            (("query.norm(dim=-1", "query.norm(dim=-2"), ("key.norm(dim=-1", "key.norm(dim=-2")),
            "The lengths were taken "
            "down the columns: each "
            "component over all queries, not each query over "
            "its components.",
        ),
        Mistake(
            "keys normalized over the positions",
            (("key.norm(dim=-1", "key.norm(dim=-2"),),
            "The lengths of the keys were taken down the columns.",
        ),
        Mistake(
            "queries normalized over the positions",
            (("query.norm(dim=-1", "query.norm(dim=-2"),),
            "The lengths of the queries were taken down the columns.",
        ),
        Mistake(
            "one length for all",
            (("query.norm(dim=-1, keepdim=True)", "query.norm()"), ("key.norm(dim=-1, keepdim=True)", "key.norm()")),
            "norm() without dim is one number for the whole tensor. Each vector has a length of its own.",
        ),
        Mistake(
            "squared lengths",
            (
                ("query / q_length.clamp(min=1e-8)", "query / q_length.square().clamp(min=1e-8)"),
                ("key / k_length.clamp(min=1e-8)", "key / k_length.square().clamp(min=1e-8)"),
            ),
            "The vectors are divided by the squares of their lengths: the root is missing.",
        ),
        Mistake(
            "sums for lengths",
            (
                ("query.norm(dim=-1, keepdim=True)", "query.abs().sum(dim=-1, keepdim=True)"),
                ("key.norm(dim=-1, keepdim=True)", "key.abs().sum(dim=-1, keepdim=True)"),
            ),
            "The length is the root of the sum of squares; this is the sum of sizes.",
        ),
        Mistake(
            "multiplied by the temperature",
            (("/ temperature", "* temperature"),),
            "A low temperature should make the scores larger, and so the weights sharper: divide.",
        ),
        Mistake(
            "no temperature",
            ((" / temperature", ""),),
            "The temperature is not used: cosines lie between −1 and 1, and the weights are all nearly equal.",
        ),
        Mistake(
            "scaled by the size too",
            (("/ temperature", "/ temperature / math.sqrt(query.shape[-1])"),),
            "The vectors have length 1 already: the root of the size has no part here.",
        ),
        Mistake(
            "scaled by the size, not by the temperature",
            (("/ temperature", "/ math.sqrt(query.shape[-1])"),),
            "This divides by the root of the size, as for dot products, and not by the temperature.",
        ),
        Mistake(
            "a vector of zeros",
            ((".clamp(min=1e-8)", ""),),
            "A vector of zeros is divided by its length 0: not a number.",
        ),
        Mistake(
            "the angle",
            (("q_unit @ k_unit.mT / temperature", "torch.acos((q_unit @ k_unit.mT).clamp(-1, 1)) / temperature"),),
            "The score is the cosine of the angle, not the angle: large for near directions.",
        ),
        Mistake(
            "the distance",
            (("q_unit @ k_unit.mT / temperature", "(1 - q_unit @ k_unit.mT) / temperature"),),
            "1 minus the cosine is a distance: large where vectors differ. A score is large where they agree.",
        ),
        Mistake(
            "softmax taken",
            (("q_unit @ k_unit.mT / temperature", "(q_unit @ k_unit.mT / temperature).softmax(dim=-1)"),),
            "These are weights. Only the scores were asked for.",
        ),
    ),
)


# ---- A bilinear score


def general_scores(query, key, W):
    moved = query @ W
    return moved @ key.mT


def with_matrix(draw, batch, n, m, d_q, d_k):
    return {"query": draw.normal(batch, n, d_q), "key": draw.normal(batch, m, d_k), "W": draw.normal(d_q, d_k)}


GENERAL = FunctionExercise(
    name="general-scores",
    chapter=5,
    title="A matrix in between",
    level="Practice",
    minutes=10,
    statement=r"""
The listing should give a score with a matrix in between, the *general* score of chapter 6: $s_{ij} = q_i W
k_j^\top$. `query` has the shape `(batch, n, d_q)`, `key` `(batch, m, d_k)`, and `W` `(d_q, d_k)`; the result has
`(batch, n, m)`. It was tested with `d_q = d_k`, where it runs. Mend it.
""",
    given="""
def general_scores(query, key, W):
    moved = query @ W.T
    return moved @ key.mT
""",
    hints=(
        "Write the shapes under the formula. What does a square W hide?",
        "A query with d_q components, times W of (d_q, d_k), has d_k components, as a key has.",
    ),
    reference=general_scores,
    inputs=with_matrix,
    cases=(
        {"batch": 1, "n": 1, "m": 1, "d_q": 2, "d_k": 2},
        {"batch": 1, "n": 2, "m": 3, "d_q": 2, "d_k": 2},
        {"batch": 1, "n": 3, "m": 3, "d_q": 3, "d_k": 3},
        {"batch": 2, "n": 2, "m": 3, "d_q": 4, "d_k": 2},
        {"batch": 3, "n": 4, "m": 2, "d_q": 2, "d_k": 5},
        {"batch": 4, "n": 4, "m": 4, "d_q": 4, "d_k": 4},
    ),
    mistakes=(
        Mistake(
            "the matrix transposed",
            (("query @ W", "query @ W.T"),),
            "Where d_q = d_k it runs, and takes the transpose: who asks and who is asked change places in W.",
        ),
        Mistake(
            "no matrix", (("query @ W", "query @ torch.eye(*W.shape)"),), "W is not used: this is the dot product."
        ),
        Mistake(
            "queries and keys exchanged",
            (("return moved @ key.mT", "return key @ moved.mT"),),
            "The rows belong to the keys now.",
        ),
        Mistake(
            "scaled",
            (("return moved @ key.mT", "return moved @ key.mT / math.sqrt(key.shape[-1])"),),
            "The general score has no scale: W can learn one.",
        ),
        Mistake(
            "scaled by the query's size",
            (("return moved @ key.mT", "return moved @ key.mT / math.sqrt(query.shape[-1])"),),
            "The general score has no scale: W can learn one.",
        ),
        Mistake(
            "the matrix twice",
            (("return moved @ key.mT", "return moved @ (key @ W.T @ W).mT"),),
            "W stands once between the query and the key.",
        ),
        Mistake(
            "a tanh",
            (("return moved @ key.mT", "return moved.tanh() @ key.mT"),),
            "The tanh belongs to the additive score (chapter 6). This one is linear in the query and in the key.",
        ),
        Mistake(
            "softmax taken",
            (("return moved @ key.mT", "return (moved @ key.mT).softmax(dim=-1)"),),
            "These are weights. Only the scores were asked for.",
        ),
        Mistake(
            "summed over the keys",
            (
                (
                    "return moved @ key.mT",
                    "return (moved @ key.mT).sum(dim=-1, keepdim=True).expand(-1, -1, key.shape[-2])",
                ),
            ),
            "Each pair has a score of its own.",
        ),
    ),
)


# ---- The derivative of the softmax


def softmax_jacobian(weights):
    own = torch.diag_embed(weights)
    pairs = weights[:, :, None] * weights[:, None, :]
    return own - pairs


def some_weights(draw, rows, m, sharp):
    return {"weights": (sharp * draw.normal(rows, m)).softmax(dim=-1)}


def _sums(call, inputs):
    largest = call(inputs).double().sum(dim=-2).abs().max().item()
    return f"a column of derivatives sums to {largest:.3g}" if largest > 1e-4 else None


_ZERO_SUMS = properties.Property(
    "zero sum", "What one weight gains, the others lose: the derivatives of all weights by one score sum to 0.", _sums
)

JACOBIAN = FunctionExercise(
    name="softmax-jacobian",
    chapter=5,
    title="How a score moves the weights",
    level="Challenge",
    minutes=20,
    statement=r"""
Write the derivative of the softmax. `weights` has the shape `(rows, m)`: for each query its weights, already
computed. Return $\partial \alpha_a / \partial s_b$ for each row: the shape `(rows, m, m)`, with `a` before `b`. No
autograd is needed: the weights alone determine it.
""",
    hints=(
        "Differentiate exp(s_a) / sum exp(s): once for b = a, once for b ≠ a.",
        "α_a (1 − α_a) on the diagonal and −α_a α_b elsewhere. In one line: the diagonal matrix of α, "
        "minus the outer product of α with itself.",
    ),
    reference=softmax_jacobian,
    inputs=some_weights,
    cases=(
        {"rows": 1, "m": 2, "sharp": 1.0},
        {"rows": 1, "m": 3, "sharp": 1.0},
        {"rows": 2, "m": 2, "sharp": 2.0},
        {"rows": 3, "m": 4, "sharp": 0.5},
        {"rows": 2, "m": 5, "sharp": 8.0},
        {"rows": 3, "m": 3, "sharp": 1.0},
    ),
    properties=(_ZERO_SUMS,),
    mistakes=(
        Mistake(
            "the diagonal alone",
            (("own - pairs", "torch.diag_embed(weights * (1 - weights))"),),
            "A score moves the other weights too: they make room. Off the diagonal stands −α_a α_b.",
        ),
        Mistake(
            "the sign",
            (("own - pairs", "pairs - own"),),
            "Raising a score raises its own weight: the diagonal is positive.",
        ),
        Mistake(
            "plus for minus",
            (("own - pairs", "own + pairs"),),
            "The other weights fall when one score rises: minus the outer product.",
        ),
        Mistake("no diagonal", (("own - pairs", "-pairs"),), "For a = b the derivative is α − α², not −α²."),
        Mistake(
            "ones on the diagonal",
            (("torch.diag_embed(weights)", "torch.eye(weights.shape[-1])"),),
            "The diagonal holds α − α², not 1 − α².",
        ),
        Mistake(
            "no products", (("own - pairs", "own"),), "Only the diagonal of α is left: the outer product is missing."
        ),
        Mistake(
            "the outer product of others",
            (("weights[:, :, None] * weights[:, None, :]", "weights[:, :, None] * (1 - weights)[:, None, :]"),),
            "1 − α belongs to the diagonal only. Off it stands α_a α_b.",
        ),
        Mistake(
            "of the logarithm",
            (("own - pairs", "torch.eye(weights.shape[-1]) - weights[:, None, :].expand_as(own)"),),
            "This is the derivative of log α. The derivative of α has a factor α_a more.",
        ),
        Mistake(
            "the square taken twice",
            (("torch.diag_embed(weights)", "torch.diag_embed(weights * (1 - weights))"),),
            "The outer product takes α² off the diagonal already: put α there, not α − α².",
        ),
    ),
)


# ---- Numbers and questions


def spread_of_dot_products():
    """Independent components with standard deviation 1: d_k products of variance 1 are added."""
    d_k = 256
    return math.sqrt(d_k)


SPREAD = NumberExercise(
    name="spread-of-scores",
    chapter=5,
    title="How far do scores spread?",
    level="Warm-up",
    minutes=5,
    statement="""
Queries and keys have 256 independent components with mean 0 and standard deviation 1. What is the standard
deviation of their dot products, before the scale?
""",
    hints=(
        "Variances of independent terms add. What is the variance of one product?",
        "256 terms with variance 1 each; the standard deviation is the root of their sum.",
    ),
    answer=spread_of_dot_products,
    tolerance=0.01,
    mistakes=(
        WrongNumber("the variance", lambda: 256, "This is the variance. The standard deviation is its root."),
        WrongNumber(
            "after the scale",
            lambda: 1,
            "This is the spread after dividing by the root of 256. Before it, it is larger.",
        ),
        WrongNumber("the fourth root", lambda: 4, "One root too many: the variance of the sum is 256."),
        WrongNumber(
            "two vectors, twice the terms",
            lambda: math.sqrt(512),
            "There are 256 products, not 512: each takes a component of both.",
        ),
        WrongNumber("the inverse", lambda: 1 / 16, "This is the factor of the scale, 1 over the root of 256."),
        WrongNumber("the mean", lambda: 0, "This is the mean of the dot products."),
    ),
)

COSINE_LIMIT = ChoiceExercise(
    name="cosine-without-temperature",
    chapter=5,
    title="A cosine without a temperature",
    level="Practice",
    minutes=5,
    statement=(
        "Cosine scores go into a softmax over 100 keys, without a temperature. How large can the largest weight be?"
    ),
    hints=("Scores lie between −1 and 1. Let one be 1 and 99 be −1.",),
    choices=(
        Choice(
            "About 0.07.",
            "e / (e + 99/e) = 2.718 / (2.718 + 36.42) = "
            "0.069. Without a temperature a cosine cannot choose "
            "among many keys.",
            right=True,
        ),
        Choice(
            "As close to 1 as you like.",
            "Scores between −1 and 1 differ by 2 at most, so one exponential is at most e² = 7.4 times another.",
        ),
        Choice("About 0.88.", "e / (e + 1/e) = 0.88 is the answer for two keys. With 100 keys there are 99 others."),
        Choice("Exactly 0.01.", "That is the weight when all scores are equal."),
    ),
)

SCALE_AND_GRADIENT = ChoiceExercise(
    name="why-the-scale",
    chapter=5,
    title="Why divide by the root of the size?",
    level="Warm-up",
    minutes=3,
    statement=(
        "What goes wrong at the start of training if dot products of 512 components go into the softmax unscaled?"
    ),
    hints=("What are α and 1 − α when one score is 20 above the others? The derivative is α (1 − α).",),
    choices=(
        Choice(
            "One key gets nearly all the weight, and for a typical query the gradient in the scores is nearly 0.",
            "α (1 − α) vanishes at both ends, so what the layer attends to can hardly be learned.",
            right=True,
        ),
        Choice(
            "The exponentials overflow.",
            "A softmax takes the largest score off first, so it does not overflow at any size.",
        ),
        Choice("The weights no longer sum to 1.", "They do, whatever the scores."),
        Choice("The layer costs more.", "The cost is the same; the scale even adds one division a score."),
    ),
)

EXERCISES = (SPREAD, COSINE, COSINE_LIMIT, GENERAL, JACOBIAN, SCALE_AND_GRADIENT)
