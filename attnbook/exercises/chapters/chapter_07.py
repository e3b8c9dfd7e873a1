"""Chapter 7: self-attention from scratch."""

import math

import torch

from attnbook.exercises import properties
from attnbook.exercises.kinds import Choice, ChoiceExercise, FunctionExercise, Mistake, NumberExercise, WrongNumber

SIZES = (
    {"batch": 1, "n": 1, "d_model": 2, "d_k": 2, "d_v": 2},
    {"batch": 1, "n": 2, "d_model": 2, "d_k": 2, "d_v": 2},
    {"batch": 1, "n": 3, "d_model": 3, "d_k": 2, "d_v": 1},
    {"batch": 1, "n": 3, "d_model": 3, "d_k": 3, "d_v": 3},
    {"batch": 2, "n": 4, "d_model": 5, "d_k": 3, "d_v": 2},
    {"batch": 3, "n": 2, "d_model": 4, "d_k": 6, "d_v": 4},
    {"batch": 4, "n": 4, "d_model": 4, "d_k": 4, "d_v": 4},
    {"batch": 2, "n": 7, "d_model": 2, "d_k": 5, "d_v": 3},
)


def with_weights(draw, batch, n, d_model, d_k, d_v):
    return {
        "x": draw.normal(batch, n, d_model),
        "W_q": draw.normal(d_model, d_k),
        "W_k": draw.normal(d_model, d_k),
        "W_v": draw.normal(d_model, d_v),
    }


def shuffled(call, inputs):
    """The output for the elements in reverse order, put back."""
    return call({**inputs, "x": inputs["x"].flip(-2)}).flip(-2)


# ---- One head, from the projections on


def self_attention(x, W_q, W_k, W_v):
    query, key, value = x @ W_q, x @ W_k, x @ W_v
    d_k = query.shape[-1]
    scores = query @ key.mT / math.sqrt(d_k)
    weights = scores.softmax(dim=-1)
    return weights @ value


SELF_ATTENTION = FunctionExercise(
    name="self-attention",
    chapter=7,
    title="A sequence that asks itself",
    level="Practice",
    minutes=15,
    statement="""
Write self-attention with one head. `x` has the shape `(batch, n, d_model)`; `W_q` and `W_k` have `(d_model, d_k)`
and `W_v` has `(d_model, d_v)`, and they multiply from the right, as in the formula. No mask, no biases. Return the
output, `(batch, n, d_v)`.
""",
    hints=(
        "Three projections of the same x, then attention as in chapter 3.",
        "`query = x @ W_q`, and so on. The scale is the square root of the size of a query, which need not be d_model.",
    ),
    reference=self_attention,
    inputs=with_weights,
    cases=SIZES,
    properties=(
        properties.finite(),
        properties.equal_to(
            "equivariance",
            "The layer knows no order: shuffle the elements, and the outputs are shuffled along.",
            shuffled,
            "the elements were put in reverse order, and the outputs back",
        ),
    ),
    mistakes=(
        Mistake("no scale", ((" / math.sqrt(d_k)", ""),), "The dot products go into the softmax as they are."),
        Mistake(
            "the square root of d_model",
            (("d_k = query.shape[-1]", "d_k = x.shape[-1]"),),
            "Queries and keys have d_k components, and it is they that are multiplied. d_model is the size "
            "before the projection.",
        ),
        Mistake(
            "divided by d_k",
            (("math.sqrt(d_k)", "d_k"),),
            "The square root is missing: the spread of a dot product grows with the root of its size.",
        ),
        Mistake(
            "multiplied by the square root",
            (("/ math.sqrt(d_k)", "* math.sqrt(d_k)"),),
            "The scale should make scores smaller.",
        ),
        Mistake(
            "the length for the size",
            (("query.shape[-1]", "query.shape[-2]"),),
            "shape[-2] is the number of elements; the size of a query is shape[-1].",
        ),
        Mistake(
            "the size of the values",
            (("d_k = query.shape[-1]", "d_k = value.shape[-1]"),),
            "The scale belongs to queries and keys, not to values.",
        ),
        Mistake(
            "softmax over the queries",
            (("dim=-1", "dim=-2"),),
            "Each column sums to 1. Each element must share out its own weight: the last axis.",
        ),
        Mistake(
            "softmax over the batch",
            (("dim=-1", "dim=0"),),
            "Axis 0 is the batch: sequences that do not know each other share weight.",
        ),
        Mistake(
            "no softmax",
            (("scores.softmax(dim=-1)", "scores"),),
            "Scores are no shares: they can be negative, and sum to anything.",
        ),
        Mistake(
            "no projection of the values",
            (("x @ W_k, x @ W_v", "x @ W_k, x"),),
            "What is averaged are the values x W_v, not the elements themselves.",
        ),
        Mistake(
            "queries for keys",
            (("x @ W_q, x @ W_k,", "x @ W_q, x @ W_q,"),),
            "Keys made with W_q: the scores are symmetric, and most elements prefer themselves.",
        ),
        Mistake(
            "keys for queries",
            (("x @ W_q, x @ W_k,", "x @ W_k, x @ W_k,"),),
            "Queries made with W_k: the scores are symmetric, and most elements prefer themselves.",
        ),
        Mistake(
            "queries and keys exchanged",
            (("x @ W_q, x @ W_k,", "x @ W_k, x @ W_q,"),),
            "Who asks and who is asked are exchanged: the scores are transposed.",
        ),
        Mistake(
            "no projections of queries and keys",
            (("x @ W_q, x @ W_k,", "x, x,"),),
            "Elements are compared as they are. Then a looks for b exactly as hard as b for a.",
        ),
        Mistake(
            "keys for values",
            (("x @ W_k, x @ W_v", "x @ W_k, x @ W_k"),),
            "What is averaged are the values x W_v; here it is the keys.",
        ),
        Mistake(
            "queries for values",
            (("x @ W_k, x @ W_v", "x @ W_k, x @ W_q"),),
            "What is averaged are the values x W_v; here it is the queries.",
        ),
        Mistake(
            "a causal mask",
            (
                (
                    "scores = query @ key.mT / math.sqrt(d_k)",
                    "scores = (query @ key.mT / math.sqrt(d_k)).masked_fill(torch.ones(x.shape[1], "
                    "x.shape[1]).triu(1) > 0, -torch.inf)",
                ),
            ),
            "Each element sees only those before it. Here all may see all.",
        ),
        Mistake(
            "the own position closed",
            (
                (
                    "scores = query @ key.mT / math.sqrt(d_k)",
                    "scores = (query @ key.mT / math.sqrt(d_k)).masked_fill(torch.eye(x.shape[1]) > 0, -torch.inf)",
                ),
            ),
            "An element is among its own keys. With one element nothing is left to attend to.",
        ),
        Mistake(
            "the own value added",
            (("return weights @ value", "return weights @ value + value"),),
            "The own value is added to the output. Adding belongs to a residual block (chapter 10), not to attention.",
        ),
        Mistake(
            "the mean over the elements",
            (("return weights @ value", "return (weights @ value).mean(dim=-2, keepdim=True).expand_as(value)"),),
            "Each element has an output of its own; this gives all of them the mean.",
        ),
        Mistake(
            "the transposed weights",
            (("return weights @ value", "return weights.mT @ value"),),
            "Row i of the weights belongs to query i. Transposed, the values are sent where they were asked from.",
        ),
    ),
)


# ---- Causal self-attention weights


def causal_weights(query, key):
    n = query.shape[-2]
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    future = torch.ones(n, n, dtype=torch.bool).triu(diagonal=1)
    return scores.masked_fill(future, -torch.inf).softmax(dim=-1)


def query_and_key(draw, batch, n, d_k, spread):
    return {"query": draw.normal(batch, n, d_k, spread=spread), "key": draw.normal(batch, n, d_k, spread=spread)}


CAUSAL = FunctionExercise(
    name="causal-self-attention",
    chapter=7,
    title="A listing that looks ahead",
    level="Practice",
    minutes=10,
    statement="""
The listing should give the weights of *causal* self-attention: element $i$ attends to itself and to those before
it, so what is closed gets the weight 0 and each row sums to 1. `query` and `key` have the shape `(batch, n, d_k)`.
Every row of the result does sum to 1, and still it is wrong. Mend it.
""",
    given="""
def causal_weights(query, key):
    n = query.shape[-2]
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    allowed = torch.ones(n, n).tril()
    return (scores * allowed).softmax(dim=-1)
""",
    hints=(
        "What is the exponential of a score of 0?",
        "A closed score must be −∞ before the softmax: `scores.masked_fill(closed, -torch.inf)`.",
    ),
    reference=causal_weights,
    inputs=query_and_key,
    cases=(
        {"batch": 1, "n": 1, "d_k": 2, "spread": 1.0},
        {"batch": 1, "n": 2, "d_k": 2, "spread": 1.0},
        {"batch": 1, "n": 3, "d_k": 4, "spread": 1.0},
        {"batch": 2, "n": 4, "d_k": 3, "spread": 1.0},
        {"batch": 3, "n": 3, "d_k": 3, "spread": 2.0},
        {"batch": 2, "n": 5, "d_k": 2, "spread": 9.0},
    ),
    properties=(
        properties.finite(),
        properties.no_leak("key"),
        properties.rows_sum_to_one(),
        properties.not_negative(),
    ),
    mistakes=(
        Mistake(
            "scores multiplied by 0",
            (("scores.masked_fill(future, -torch.inf)", "(scores * ~future)"),),
            "A score of 0 is not nothing: exp(0) = 1, so a closed key still gets a share. Only −∞ gives it none.",
        ),
        Mistake(
            "the mask after the softmax",
            (
                (
                    "scores.masked_fill(future, -torch.inf).softmax(dim=-1)",
                    "scores.softmax(dim=-1).masked_fill(future, 0.0)",
                ),
            ),
            "What is open keeps the share that it had among all keys, so the row sums to less than 1.",
        ),
        Mistake(
            "the own position closed",
            (("diagonal=1", "diagonal=0"),),
            "triu(0) holds the diagonal too, so an element may not see itself, and the first one sees nothing: 0/0.",
        ),
        Mistake(
            "one too far ahead",
            (("diagonal=1", "diagonal=2"),),
            "triu(2) leaves the next element open: each sees one step into the future.",
        ),
        Mistake(
            "upside down", ((".triu(diagonal=1)", ".tril(diagonal=-1)"),), "The past is closed, and the future open."
        ),
        Mistake(
            "the mask reversed",
            (("masked_fill(future,", "masked_fill(~future,"),),
            "Here True was taken for open, but masked_fill fills where it is True. The past and the present "
            "are closed, and the last row has nothing.",
        ),
        Mistake(
            "no mask",
            (("scores.masked_fill(future, -torch.inf)", "scores"),),
            "Nothing is closed: every element sees the future.",
        ),
        Mistake("no scale", ((" / math.sqrt(query.shape[-1])", ""),), "The square root of the size is lost."),
        Mistake(
            "softmax over the queries", (("softmax(dim=-1)", "softmax(dim=-2)"),), "Columns sum to 1 in place of rows."
        ),
        Mistake(
            "a small number for minus infinity",
            (("-torch.inf", "-1.0"),),
            "A score of −1 is an ordinary score. Only −∞, or a number far below all scores, closes a pair.",
        ),
        Mistake(
            "minus one added",
            (("scores.masked_fill(future, -torch.inf)", "(scores - future.float())"),),
            "Subtracting 1 only lowers a closed score a little.",
        ),
        Mistake(
            "plus infinity",
            (("-torch.inf", "torch.inf"),),
            "+∞ gives all the weight to what should have none, and NaN comes out.",
        ),
        Mistake(
            "queries and keys exchanged", (("query @ key.mT", "key @ query.mT"),), "The rows belong to the keys now."
        ),
    ),
)


# ---- A number and questions


def parameters_of_self_attention():
    """d_model = 10, d_k = 6, d_v = 4: three projections, each with a bias."""
    d_model, d_k, d_v = 10, 6, 4
    return 2 * (d_model * d_k + d_k) + (d_model * d_v + d_v)


PARAMETERS = NumberExercise(
    name="self-attention-parameters",
    chapter=7,
    title="Count the numbers",
    level="Warm-up",
    minutes=5,
    statement=(
        "How many learned numbers has `SelfAttention(10, d_k=6, d_v=4)`: three projections from 10 "
        "components, with biases?"
    ),
    hints=("A projection from 10 to 6 components has 10 · 6 weights and 6 biases.",),
    answer=parameters_of_self_attention,
    mistakes=(
        WrongNumber("no biases", lambda: 2 * 10 * 6 + 10 * 4, "The weights are right; each output has a bias too."),
        WrongNumber(
            "one projection for queries and keys",
            lambda: 10 * 6 + 6 + 10 * 4 + 4,
            "Queries and keys have a projection each.",
        ),
        WrongNumber("d_v like d_k", lambda: 3 * (10 * 6 + 6), "Values have 4 components here, not 6."),
        WrongNumber(
            "an output projection",
            lambda: 2 * 66 + 44 + 4 * 10 + 10,
            "This counts a fourth matrix, back to d_model. It comes in chapter 8.",
        ),
        WrongNumber(
            "one bias each",
            lambda: 2 * 10 * 6 + 10 * 4 + 3,
            "A projection has a bias for each of its outputs, not one in all.",
        ),
        WrongNumber(
            "a bias for each input",
            lambda: 2 * (60 + 10) + 40 + 10,
            "Biases are added to the outputs: one for each of them.",
        ),
    ),
)

ORDER = ChoiceExercise(
    name="two-word-orders",
    chapter=7,
    title="Dog bites man",
    level="Warm-up",
    minutes=3,
    statement="""
Self-attention without positions and without a mask reads *dog bites man*, then *man bites dog*. What does it give
for *bites*?
""",
    hints=("Which terms of the sum for *bites* change, and which only change places?",),
    choices=(
        Choice(
            "The same output both times.",
            "The three pairs have the same scores, and a sum does not depend on the order of its terms. The "
            "layer is equivariant.",
            right=True,
        ),
        Choice(
            "Another output, because its neighbors have changed places.",
            "Nothing in the formula says who stands where. Only scores count, and those are the same.",
        ),
        Choice(
            "The same weights but another output.",
            "Each weight keeps its value with it. The same terms are added up, in another order.",
        ),
        Choice(
            "The same output if the layer was trained, another one at random weights.",
            "The proof holds for any matrices. Training cannot put in an order that the formula does not have.",
        ),
    ),
)

SYMMETRY = ChoiceExercise(
    name="scores-without-projections",
    chapter=7,
    title="Without projections",
    level="Practice",
    minutes=5,
    statement=(
        "Queries, keys and values are the elements themselves, with many random components. What do the "
        "weights look like?"
    ),
    hints=("Compare x · x with x · y for two random vectors of 64 components.",),
    choices=(
        Choice(
            "Nearly all the weight stays at home: each element attends to itself.",
            "x · x is a sum of squares, about the size of the vector; x · y is a sum of mixed signs, about its root.",
            right=True,
        ),
        Choice(
            "The weights are symmetric: the weight of a on b is that of b on a.",
            "The scores are. Each row of weights is divided by a sum of its own, so the weights are not.",
        ),
        Choice(
            "All weights are about equal.",
            "They would be if all scores were. The score with oneself is far above the others.",
        ),
        Choice(
            "They are random: any element may get the most.",
            "With two random projections that is so. Without them the own score is a sum of squares, which "
            "another one hardly ever reaches in many dimensions.",
        ),
    ),
)

LINES = ChoiceExercise(
    name="read-the-lines",
    chapter=7,
    title="Read the first picture",
    level="Warm-up",
    minutes=3,
    statement="""
Look at the chapter's first figure, where lines join six words with the same six words. The line from *freight* to
*late* is wide. What does that line, by itself, show?
""",
    hints=("A line is one weight: one query on the left, one key on the right.",),
    choices=(
        Choice(
            "The value of late is a large part of what freight gets back.",
            "That is what a weight is: a share in the average of one query. The line says nothing of the "
            "other direction.",
            right=True,
        ),
        Choice(
            "Freight and late look for each other equally hard.",
            "The line from late to freight is another weight, in another row. Here it is wide too, but it need not be: "
            "the scores have two projections, and each row is divided by its own sum.",
        ),
        Choice(
            "The model has understood that the two words rhyme.",
            "The model was trained on such a question and answers it well, so it may. One wide line could have other "
            "causes: take the pair away and measure, before you believe it.",
        ),
        Choice(
            "Freight and late are spelled alike.",
            "They are not: freight ends in ght and late in te. The picture shows weights, not what they are due to.",
        ),
    ),
)

EXERCISES = (LINES, SELF_ATTENTION, PARAMETERS, SYMMETRY, ORDER, CAUSAL)
