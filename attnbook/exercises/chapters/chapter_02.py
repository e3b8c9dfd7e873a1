"""Chapter 2: query, key, value."""

import math

import torch

from attnbook.exercises import properties
from attnbook.exercises.kinds import Choice, ChoiceExercise, FunctionExercise, Mistake, NumberExercise, WrongNumber

# ---- A soft look-up by distance


def soft_lookup(query, key, value, width):
    distance = (query[:, None] - key[None, :]) / width
    score = -distance.square()
    weights = score.softmax(dim=1)
    return weights @ value


def readings(draw, n, m, width, spread=2.0):
    return {
        "query": draw.normal(n, spread=spread),
        "key": draw.normal(m, spread=spread),
        "value": draw.normal(m, spread=3.0),
        "width": width,
    }


LOOKUP_CASES = (
    {"n": 1, "m": 2, "width": 1.0},
    {"n": 2, "m": 2, "width": 2.0},
    {"n": 2, "m": 3, "width": 1.0},
    {"n": 4, "m": 3, "width": 0.5},
    {"n": 3, "m": 5, "width": 3.0},
    {"n": 3, "m": 3, "width": 2.0},
    {"n": 2, "m": 4, "width": 1.0, "spread": 30.0},
)


def _between(call, inputs):
    output, value = call(inputs), inputs["value"]
    off = (output.double() < value.min() - 1e-3) | (output.double() > value.max() + 1e-3)
    return f"an answer is {output[off][0].item():.3g}, outside of the values" if off.any() else None


HULL = properties.Property(
    "hull", "An answer is an average: it lies between the smallest and the largest value.", _between
)

LOOKUP = FunctionExercise(
    name="soft-lookup",
    chapter=2,
    title="The thermometer, asked at any hour",
    level="Practice",
    minutes=15,
    statement=r"""
Write the chapter's soft look-up for numbers. `query` has the shape `(n,)`, `key` and `value` have `(m,)`, and
`width` is a number. The score of a query and a key is $-\left((q - k) / w\right)^2$, with $w$ the width; the
softmax of a query's scores over the keys gives its weights. Return the weighted averages of the values, `(n,)`.
Keys may lie far from every query.
""",
    hints=(
        "`query[:, None] - key[None, :]` has a row for each query and a column for each key.",
        "The minus sign makes near keys score high. The softmax goes along the keys.",
    ),
    reference=soft_lookup,
    inputs=readings,
    cases=LOOKUP_CASES,
    properties=(properties.finite(), HULL),
    mistakes=(
        Mistake(
            "far for near",
            (("-distance.square()", "distance.square()"),),
            "The sign is lost: keys that are far away score highest.",
        ),
        Mistake(
            "no square",
            (("-distance.square()", "-distance"),),
            "Without the square, a key below the query scores low and one above it high, however near.",
        ),
        Mistake(
            "the size for the square",
            (("-distance.square()", "-distance.abs()"),),
            "This is the distance "
            "itself. It falls off "
            "differently: the square is kind to near keys and hard "
            "on far ones.",
        ),
        Mistake("no width", ((" / width", ""),), "The width is not used: it decides how far a query looks."),
        Mistake(
            "multiplied by the width",
            (("/ width", "* width"),),
            "A larger width should let more keys in; here it shuts them out.",
        ),
        Mistake(
            "the width not squared",
            (
                ("distance = (query[:, None] - key[None, :]) / width", "distance = query[:, None] - key[None, :]"),
                ("-distance.square()", "-distance.square() / width"),
            ),
            "The square covers the width too: ((q − k) / w)².",
        ),
        Mistake(
            "a half in the exponent",
            (("-distance.square()", "-distance.square() / 2"),),
            "This is the exponent of a normal distribution. The score here has no half.",
        ),
        Mistake(
            "softmax over the queries",
            (("softmax(dim=1)", "softmax(dim=0)"),),
            "Each key shares itself out over the queries. Each query must share its weight over the keys.",
        ),
        Mistake("no softmax", (("score.softmax(dim=1)", "score"),), "Scores are no shares. These are even negative."),
        Mistake(
            "the exponential not divided",
            (("score.softmax(dim=1)", "score.exp()"),),
            "The shares of a query must sum to 1: divide by the sum of its exponentials.",
        ),
        Mistake(
            "divided before the exponential",
            (("score.softmax(dim=1)", "score / score.sum(dim=1, keepdim=True)"),),
            "Scores divided by their sum: the farthest key gets the largest share. The exponential comes first.",
        ),
        Mistake(
            "overflow",
            (("score.softmax(dim=1)", "score.exp() / score.exp().sum(dim=1, keepdim=True)"),),
            "Far from every key all exponentials are 0, and "
            "0/0 is not a number. A softmax takes the largest "
            "score off first.",
        ),
        Mistake(
            "the nearest alone",
            (("weights @ value", "value[weights.argmax(dim=1)]"),),
            "This is the hard look-up: the value of the nearest key and nothing of the others.",
        ),
        Mistake(
            "keys for values",
            (("weights @ value", "weights @ key"),),
            "The average of the keys comes back. Keys are for finding, values for answering.",
        ),
        Mistake(
            "the plain mean",
            (("weights @ value", "value.mean().expand(len(query))"),),
            "All readings count the same, whatever was asked.",
        ),
        Mistake(
            "the sum over everything",
            (("score.softmax(dim=1)", "(score.exp() / score.exp().sum())"),),
            "One sum for all queries. Each query needs its own.",
        ),
        Mistake(
            "a dot product",
            (("-distance.square()", "query[:, None] * key[None, :] / width"),),
            "The product of query and key is large for large keys, not for near ones.",
        ),
    ),
)


# ---- An entry for "nothing found"


def lookup_or_nothing(query, key, value, floor):
    scores = query @ key.mT
    nothing = torch.full_like(scores[:, :1], floor)
    weights = torch.cat([nothing, scores], dim=1).softmax(dim=1)
    return weights[:, 1:] @ value


def vectors(draw, n, m, d, d_v, floor):
    return {"query": draw.normal(n, d), "key": draw.normal(m, d), "value": draw.normal(m, d_v), "floor": floor}


def at_least_floor(call, inputs):
    lowered = call({**inputs, "floor": -1e4})
    expected = (inputs["query"] @ inputs["key"].mT).softmax(dim=1) @ inputs["value"]
    return (
        None
        if torch.allclose(lowered.double(), expected.double(), atol=1e-4)
        else "a floor of −10,000 still takes a share"
    )


NOTHING = FunctionExercise(
    name="nothing-found",
    chapter=2,
    title="One more entry for nothing",
    level="Challenge",
    minutes=20,
    statement="""
A softmax always answers, even if no key fits. The listing should add one more entry, which stands for *nothing
found*: its score is always `floor` and its value a vector of zeros, so that a query that fits no key gets nearly
0. `query` is `(n, d)`, `key` `(m, d)`, `value` `(m, d_v)`; scores are plain dot products, and the result is `(n,
d_v)`. In the listing, the weights of the keys still sum to 1 for every query. Mend it.
""",
    given="""
def lookup_or_nothing(query, key, value, floor):
    scores = query @ key.mT
    scores = torch.maximum(scores, torch.tensor(floor))
    weights = scores.softmax(dim=1)
    return weights @ value
""",
    hints=(
        "In the listing the weights of the keys always sum to 1: nothing is left for *nothing*.",
        "The extra entry takes part in the softmax as one more column of scores, and adds zeros to the output.",
    ),
    reference=lookup_or_nothing,
    inputs=vectors,
    cases=(
        {"n": 1, "m": 1, "d": 1, "d_v": 1, "floor": 0.0},
        {"n": 1, "m": 2, "d": 2, "d_v": 2, "floor": 0.5},
        {"n": 3, "m": 2, "d": 2, "d_v": 1, "floor": -1.0},
        {"n": 2, "m": 3, "d": 3, "d_v": 4, "floor": 2.0},
        {"n": 4, "m": 5, "d": 2, "d_v": 3, "floor": 1.0},
        {"n": 3, "m": 3, "d": 3, "d_v": 3, "floor": -3.0},
    ),
    properties=(
        properties.finite(),
        properties.Property(
            "no floor", "With a very low floor the entry gets no share, and the plain look-up is left.", at_least_floor
        ),
    ),
    mistakes=(
        Mistake(
            "a lower limit for scores",
            (
                (
                    "torch.cat([nothing, scores], dim=1).softmax(dim=1)",
                    "torch.cat([nothing, scores.clamp(min=floor)], dim=1).softmax(dim=1)",
                ),
            ),
            "Scores below the floor are raised to it. The floor is the score of one more entry; the other scores stay.",
        ),
        Mistake(
            "the plain look-up",
            (("return weights[:, 1:] @ value", "return scores.softmax(dim=1) @ value"),),
            "The extra entry has no effect: the weights of the keys sum to 1.",
        ),
        Mistake(
            "clamped, no entry",
            (("return weights[:, 1:] @ value", "return scores.clamp(min=floor).softmax(dim=1) @ value"),),
            "Raising low scores to the floor makes bad keys better. Nothing stands for *nothing found*.",
        ),
        Mistake(
            "the wrong column dropped",
            (("weights[:, 1:]", "weights[:, :-1]"),),
            "The extra entry stands first, and the last one was dropped: each value gets its neighbor's share.",
        ),
        Mistake(
            "keys below the floor dropped",
            (
                (
                    "return weights[:, 1:] @ value",
                    "return scores.masked_fill(scores < floor, -1e9).softmax(dim=1) @ value",
                ),
            ),
            "Keys below the floor are shut out. The floor should take a share, not shut anybody out.",
        ),
        Mistake(
            "the floor with the wrong sign",
            (("torch.full_like(scores[:, :1], floor)", "torch.full_like(scores[:, :1], -floor)"),),
            "The extra entry scores −floor.",
        ),
        Mistake(
            "a floor of zero",
            (("torch.full_like(scores[:, :1], floor)", "torch.zeros_like(scores[:, :1])"),),
            "The extra entry scores 0 whatever the floor: this is the softmax with 1 added to the sum.",
        ),
        Mistake(
            "the floor as a weight",
            (
                (
                    "weights = torch.cat([nothing, scores], dim=1).softmax(dim=1)",
                    "weights = torch.cat([nothing, scores.exp() / "
                    "(scores.exp().sum(dim=1, keepdim=True) + floor)], "
                    "dim=1)",
                ),
            ),
            "The floor was added to the sum of exponentials. It is a score: its exponential belongs there.",
        ),
        Mistake(
            "scaled",
            (("query @ key.mT", "query @ key.mT / math.sqrt(query.shape[-1])"),),
            "Plain dot products were asked for, without the scale of chapter 3.",
        ),
        Mistake(
            "softmax over the queries",
            (("softmax(dim=1)", "softmax(dim=0)"),),
            "Each query must share its weight over the entries.",
        ),
        Mistake(
            "an entry for every key",
            (
                ("torch.full_like(scores[:, :1], floor)", "torch.full_like(scores, floor)"),
                ("weights[:, 1:]", "weights[:, scores.shape[1]:]"),
            ),
            "There is one extra entry, not one for each key.",
        ),
        Mistake(
            "the largest score taken off, not from the floor",
            (
                (
                    "scores = query @ key.mT",
                    "scores = query @ key.mT\n    scores = scores - scores.amax(dim=1, keepdim=True)",
                ),
            ),
            "Taking a row's largest score off changes nothing, if it is taken off the floor too.",
        ),
    ),
)


# ---- Distance as a dot product


def minus_half_distance(query, key):
    dots = query @ key.mT
    q_squares = query.square().sum(dim=-1, keepdim=True)
    k_squares = key.square().sum(dim=-1, keepdim=True)
    return dots - (q_squares + k_squares.mT) / 2


def points(draw, n, m, d):
    return {"query": draw.normal(n, d), "key": draw.normal(m, d)}


DISTANCE = FunctionExercise(
    name="distance-by-dots",
    chapter=2,
    title="Distances by dot products",
    level="Practice",
    minutes=10,
    statement=r"""
`query` has the shape `(n, d)` and `key` `(m, d)`. Return $-\frac12 \lvert q_i - k_j \rvert^2$ for all pairs, `(n,
m)`, without making the differences: from dot products and squared lengths.
""",
    hints=("Multiply out (q − k)·(q − k).", "|q|² belongs to a row, |k|² to a column."),
    reference=minus_half_distance,
    inputs=points,
    cases=(
        {"n": 1, "m": 1, "d": 1},
        {"n": 1, "m": 2, "d": 2},
        {"n": 3, "m": 2, "d": 3},
        {"n": 3, "m": 3, "d": 3},
        {"n": 2, "m": 5, "d": 4},
        {"n": 4, "m": 4, "d": 2},
    ),
    mistakes=(
        Mistake(
            "the sign",
            (("return dots - (q_squares + k_squares.mT) / 2", "return (q_squares + k_squares.mT) / 2 - dots"),),
            "Half the squared distance, without the minus: far pairs would score high.",
        ),
        Mistake(
            "no half",
            (("return dots - (q_squares + k_squares.mT) / 2", "return 2 * dots - (q_squares + k_squares.mT)"),),
            "This is the whole squared distance with a minus.",
        ),
        Mistake(
            "squares not halved",
            (("(q_squares + k_squares.mT) / 2", "(q_squares + k_squares.mT)"),),
            "Half of |q|² − 2 q·k + |k|² has the dot product once and each square halved.",
        ),
        Mistake(
            "the dot product doubled",
            (("return dots -", "return 2 * dots -"),),
            "The half takes the 2 away: the dot product stands once.",
        ),
        Mistake(
            "without the queries' lengths",
            (("(q_squares + k_squares.mT)", "k_squares.mT"),),
            "|q|² is missing. It is the same for all keys, so the weights would be right, but the scores are not.",
        ),
        Mistake(
            "without the keys' lengths",
            (("(q_squares + k_squares.mT)", "q_squares"),),
            "|k|² is missing, and that changes the weights: long keys would win.",
        ),
        Mistake(
            "lengths, not squares",
            (
                ("query.square().sum(dim=-1, keepdim=True)", "query.norm(dim=-1, keepdim=True)"),
                ("key.square().sum(dim=-1, keepdim=True)", "key.norm(dim=-1, keepdim=True)"),
            ),
            "The squares of the lengths are needed, not the lengths.",
        ),
        Mistake(
            "the dot product alone",
            (("return dots - (q_squares + k_squares.mT) / 2", "return dots"),),
            "The squared lengths are missing.",
        ),
        Mistake(
            "the sign of the dot product",
            (("return dots -", "return -dots -"),),
            "(q − k)² has −2 q·k, and with the minus in front it is +.",
        ),
        Mistake(
            "the sign of the squares",
            (("return dots - (", "return dots + ("),),
            "The squares are subtracted: a pair of equal vectors must get 0.",
        ),
        Mistake(
            "the root",
            (
                (
                    "return dots - (q_squares + k_squares.mT) / 2",
                    "return -(q_squares + k_squares.mT - 2 * dots).clamp(min=0).sqrt() / 2",
                ),
            ),
            "This is half the distance with a minus, not half its square.",
        ),
        Mistake(
            "the factor 2 forgotten",
            (("return dots -", "return dots / 2 -"),),
            "(q − k)² has 2 q·k. Half of it is q·k, not half of q·k.",
        ),
    ),
)


# ---- A number and questions


def output_of_three():
    """Scores 0, 0 and the logarithm of 2; values 0, 4 and 10."""
    weights = [math.exp(s) for s in (0.0, 0.0, math.log(2))]
    return sum(w * v for w, v in zip(weights, (0, 4, 10), strict=True)) / sum(weights)


THREE = NumberExercise(
    name="three-entries",
    chapter=2,
    title="Three entries, with a pencil",
    level="Warm-up",
    minutes=5,
    statement=(
        r"The scores of a query are 0, 0 and $\ln 2$. The values are 0, 4 and 10. What does the soft "
        r"look-up give?"
    ),
    hints=("The exponentials are 1, 1 and 2.", "The shares are 1/4, 1/4 and 1/2."),
    answer=output_of_three,
    mistakes=(
        WrongNumber(
            "the hard look-up",
            lambda: 10,
            "This is the value of the best key. The others have half of the weight together.",
        ),
        WrongNumber("the plain mean", lambda: 14 / 3, "This takes all three values alike."),
        WrongNumber(
            "the exponential not divided",
            lambda: 24,
            "1 · 0 + 1 · 4 + 2 · 10 must be divided by the sum of the exponentials, 4.",
        ),
        WrongNumber(
            "scores as weights",
            lambda: 10 * math.log(2),
            "The scores were taken as weights. The exponential comes first.",
        ),
        WrongNumber(
            "divided by the number of entries",
            lambda: 24 / 3,
            "Divide by 4, the sum of the exponentials 1, 1 and 2, and not by the number of entries.",
        ),
        WrongNumber(
            "ln 2 as 2",
            lambda: (4 + 10 * math.exp(2)) / (2 + math.exp(2)),
            "The score is ln 2, whose exponential is 2; here the score was taken to be 2.",
        ),
    ),
)

NEVER = ChoiceExercise(
    name="never-an-output",
    chapter=2,
    title="What can never come out",
    level="Warm-up",
    minutes=3,
    statement=(
        "The values are 2, 3 and 7. Which of these can a soft look-up never give, whatever the query and the keys?"
    ),
    hints=("The output is an average with weights above 0.",),
    choices=(
        Choice(
            "7.5",
            "An average with positive weights that sum to 1 lies between the smallest and the largest value.",
            right=True,
        ),
        Choice("2.01", "It can: nearly all the weight on the value 2."),
        Choice("4", "It can: it is the plain mean, with equal weights."),
        Choice("6.9", "It can: nearly all the weight on the value 7."),
    ),
)

TWICE = ChoiceExercise(
    name="an-entry-twice",
    chapter=2,
    title="The same entry twice",
    level="Practice",
    minutes=3,
    statement=(
        "One of three entries is stored a second time, with the same key and value. How does the answer "
        "to a query change?"
    ),
    hints=("Write the sum of exponentials with that entry twice.",),
    choices=(
        Choice(
            "It moves toward that entry's value: its exponential counts twice.",
            "Its share e / S becomes 2e / (S + e). A soft look-up counts, as an average does.",
            right=True,
        ),
        Choice(
            "Not at all: the entry was there already.",
            "That is a dictionary's answer. In a sum, an entry that stands twice counts twice.",
        ),
        Choice(
            "Its share doubles exactly.",
            "Nearly, if it was small. The sum below the line grows too: 2e / (S + e), not 2e / S.",
        ),
        Choice(
            "The two copies share the old weight, half each.",
            "They would if the shares of the others stayed. But every entry's share is divided by the new sum.",
        ),
    ),
)

EXERCISES = (THREE, LOOKUP, NEVER, NOTHING, DISTANCE, TWICE)
