"""Chapter 18: are attention weights explanations?"""

import torch

from attnbook.exercises import properties
from attnbook.exercises.kinds import Choice, ChoiceExercise, FunctionExercise, Mistake, NumberExercise, WrongNumber

# ---- Agreement of two orders


def rank_agreement(a, b):
    pairs = [(i, j) for i in range(len(a)) for j in range(i)]
    signs = [((a[i] - a[j]) * (b[i] - b[j])).sign() for i, j in pairs]
    return sum(signs) / len(pairs)


def two_orders(draw, n):
    """No ties: shuffled numbers, far apart."""
    first, second = (torch.randperm(n, generator=draw.generator) for _ in range(2))
    return {"a": first.float() ** 2 / 2 - 1, "b": 3 * second.float() - 4}


def only_the_order(call, inputs):
    gap = abs(float(call(inputs)) - float(call({**inputs, "a": inputs["a"].exp()})))
    return f"a was put through exp, and the result moved by {gap:.2g}" if not gap < 1e-4 else None


RANKS = FunctionExercise(
    name="rank-agreement",
    chapter=18,
    title="Do two orders agree?",
    level="Practice",
    minutes=15,
    statement=r"""
`a` and `b` hold a number for each of `n` tokens, shape `(n,)`, `n` at least 2, without ties. Return Kendall's $\tau$:
of all pairs of tokens, the number in the same order in both, less the number in opposite orders, divided by the number
of pairs. One number, from −1 to 1.
""",
    hints=(
        "A pair is in the same order if (a_i − a_j)(b_i − b_j) is positive.",
        "There are n (n − 1)/2 pairs. Each is counted once.",
    ),
    reference=rank_agreement,
    inputs=two_orders,
    cases=({"n": 2}, {"n": 3}, {"n": 4}, {"n": 4}, {"n": 5}, {"n": 6}, {"n": 9}),
    smallest={"n": 2},
    properties=(
        properties.finite(),
        properties.Property("order", "Only the order counts, not the sizes.", only_the_order),
    ),
    mistakes=(
        Mistake(
            "the opposite not taken off",
            ((".sign()", ".sign().clamp(min=0)"),),
            "This is the share of pairs in the same order. Those in opposite orders are taken off.",
        ),
        Mistake("the wrong sign", (("sum(signs)", "-sum(signs)"),), "Same less opposite, not the reverse."),
        Mistake("divided by n²", (("len(pairs)", "len(a) ** 2"),), "There are n (n − 1)/2 pairs, not n²."),
        Mistake(
            "divided by n",
            (("len(pairs)", "len(a)"),),
            "Divide by the number of pairs, n (n − 1)/2, not of tokens.",
        ),
        Mistake(
            "divided by twice the number of pairs",
            (("len(pairs)", "(2 * len(pairs))"),),
            "n (n − 1) counts each pair twice.",
        ),
        Mistake(
            "neighbors only",
            (("for j in range(i)]", "for j in range(i)[-1:]]"),),
            "Only neighboring tokens were compared. All pairs count.",
        ),
        Mistake(
            "sizes and not signs",
            ((".sign()", ""),),
            "Count the pairs. How far apart the numbers are does not matter.",
        ),
        Mistake(
            "the first token left out",
            (("for j in range(i)]", "for j in range(1, i)] or [(1, 1)]"),),
            "The pairs of the first token are missing.",
        ),
        Mistake(
            "a token with itself",
            (("range(i)]", "range(i + 1)]"),),
            "A token and itself are no pair, and make the divisor too large.",
        ),
        Mistake(
            "the same number counts",
            (("((a[i] - a[j]) * (b[i] - b[j])).sign()", "1.0 * (a.argsort()[i] == b.argsort()[i])"),),
            "Compare pairs of tokens: which of the two has more in a, and which in b?",
        ),
    ),
)


# ---- One key out


def effects(weights, value):
    output = weights @ value
    without = (output - weights[:, None] * value) / (1 - weights[:, None])
    return (output - without).norm(dim=-1)


def one_row(draw, m, d_v):
    scores = 1.5 * draw.normal(m)
    return {"weights": scores.softmax(dim=-1), "value": draw.normal(m, d_v)}


WITHOUT = FunctionExercise(
    name="without-one-key",
    chapter=18,
    title="Mask each key in turn",
    level="Practice",
    minutes=20,
    statement=r"""
One query: `weights` $(m,)$, positive, sum 1, at least two keys; `value` $(m, d_v)$. If key $j$ is masked, the softmax
of the others' scores gives weights that sum to 1 again, in the old proportions. For each key return the length
$\lVert o - o_{-j} \rVert$ of the change of the output: shape $(m,)$.
""",
    hints=(
        "Without key j the others share what is left: each of their weights is divided by 1 − α_j.",
        "o without j = (o − α_j v_j) / (1 − α_j).",
    ),
    reference=effects,
    inputs=one_row,
    cases=(
        {"m": 2, "d_v": 1},
        {"m": 3, "d_v": 1},
        {"m": 3, "d_v": 2},
        {"m": 2, "d_v": 3},
        {"m": 4, "d_v": 4},
        {"m": 6, "d_v": 3},
    ),
    smallest={"m": 2},
    properties=(properties.finite(),),
    mistakes=(
        Mistake(
            "not made to sum to 1 again",
            ((" / (1 - weights[:, None])", ""),),
            "A masked key leaves the softmax; the others' weights grow until they sum to 1.",
        ),
        Mistake(
            "divided by the weight",
            (("/ (1 - weights[:, None])", "/ weights[:, None]"),),
            "The others had 1 − α_j together. Divide by that.",
        ),
        Mistake(
            "the key alone",
            (("(output - weights[:, None] * value)", "(weights[:, None] * value)"),),
            "This keeps key j and drops the others.",
        ),
        Mistake(
            "the length without the key",
            (("(output - without)", "without"),),
            "The length of the change was asked for, not that of the new output.",
        ),
        Mistake(
            "lengths compared",
            (("(output - without).norm(dim=-1)", "(output.norm() - without.norm(dim=-1)).abs()"),),
            "Two outputs of one length can point in different directions. The length of the difference was asked for.",
        ),
        Mistake(
            "the value, unweighted",
            (("output - weights[:, None] * value", "output - value"),),
            "What key j adds is α_j v_j.",
        ),
        Mistake(
            "squared", ((".norm(dim=-1)", ".square().sum(dim=-1)"),), "This is the square of the length: no root yet."
        ),
        Mistake(
            "the sum of the sizes",
            ((".norm(dim=-1)", ".abs().sum(dim=-1)"),),
            "The length is the root of the sum of squares.",
        ),
    ),
)


# ---- Weight times length


def added(weights, value, W_o):
    return weights * (value @ W_o).norm(dim=-1)[:, None, :]


def heads(draw, h, n, m, d_v, d):
    scores = draw.normal(h, n, m)
    return {"weights": scores.softmax(dim=-1), "value": draw.normal(h, m, d_v), "W_o": draw.normal(h, d_v, d)}


ADDED = FunctionExercise(
    name="what-keys-add",
    chapter=18,
    title="A weight times what it multiplies",
    level="Practice",
    minutes=15,
    statement=r"""
`weights` $(h, n, m)$, `value` $(h, m, d_v)$ and `W_o` $(h, d_v, d)$, each head's part of the output projection. Return
for each head, query and key the length of what the key adds to the output, $\lVert \alpha_{ij} v_j W_o \rVert$: shape
$(h, n, m)$.
""",
    hints=(
        "The length of α v is α times the length of v: no tensor with five axes is needed.",
        "(value @ W_o).norm(dim=-1) is (h, m). Put an axis for the queries between.",
    ),
    reference=added,
    inputs=heads,
    cases=(
        {"h": 1, "n": 1, "m": 2, "d_v": 1, "d": 1},
        {"h": 1, "n": 2, "m": 2, "d_v": 2, "d": 2},
        {"h": 2, "n": 2, "m": 2, "d_v": 2, "d": 3},
        {"h": 2, "n": 3, "m": 4, "d_v": 2, "d": 5},
        {"h": 3, "n": 3, "m": 3, "d_v": 3, "d": 3},
    ),
    properties=(properties.finite(),),
    mistakes=(
        Mistake("no projection", (("(value @ W_o)", "value"),), "W_o changes the lengths: v W_o, not v."),
        Mistake(
            "the queries' axis and the keys' exchanged",
            (("[:, None, :]", "[:, :, None]"),),
            "A value belongs to a key: its length goes along the last axis.",
        ),
        Mistake(
            "the weight left out",
            (("weights * (value @ W_o)", "weights.sign() * (value @ W_o)"),),
            "The length of the value is multiplied by its weight.",
        ),
        Mistake(
            "length of the value times a length of W_o",
            (("(value @ W_o).norm(dim=-1)", "value.norm(dim=-1) * W_o.norm(dim=(-2, -1))[:, None]"),),
            "The length of a product is not the product of the lengths: multiply first.",
        ),
        Mistake(
            "squared",
            ((".norm(dim=-1)", ".square().sum(dim=-1)"),),
            "This is the square of the length: no root yet.",
        ),
        Mistake(
            "made to sum to 1",
            (
                (
                    "return weights * (value @ W_o).norm(dim=-1)[:, None, :]",
                    "x = weights * (value @ W_o).norm(dim=-1)[:, None, :]\n    return x / x.sum(dim=-1, keepdim=True)",
                ),
            ),
            "The lengths themselves, not their shares.",
        ),
        Mistake(
            "the sum and not the length",
            ((".norm(dim=-1)", ".sum(dim=-1).abs()"),),
            "The length is the root of the sum of squares.",
        ),
    ),
)


# ---- Other weights


def farthest(weights, delta):
    falling = delta < 0
    step = (weights[falling] / -delta[falling]).min()
    return weights + step * delta


def a_change(draw, m):
    weights = (draw.normal(m) * 1.5).softmax(dim=-1)
    delta = torch.randint(-5, 6, (m,), generator=draw.generator) / 10
    if m > 2:
        delta[0] = 0.0
    delta[-1] -= delta.sum()
    if delta.abs().max() < 0.05:
        delta[-2], delta[-1] = 0.3, -0.3
    return {"weights": weights, "delta": delta}


def still_weights(call, inputs):
    row = call(inputs).double()
    if row.min() < -1e-5:
        return f"a weight is {row.min():.2g}"
    return None if abs(row.sum() - 1) < 1e-3 else f"the row sums to {row.sum():.3g}"


FARTHEST = FunctionExercise(
    name="how-far-to-walk",
    chapter=18,
    title="As far as the weights allow",
    level="Practice",
    minutes=15,
    statement=r"""
`delta` $(m,)$ is a change of a row of weights that keeps its output: it sums to 0, and `delta @ value` is 0 (the values
are not needed here). It is not 0 everywhere. Walk from `weights`, all positive, in the direction of `delta` as far as
possible: return `weights + t * delta` for the largest $t$ at which no weight is negative.
""",
    hints=(
        "Only weights whose delta is negative can fall below 0. When does each of them reach 0?",
        "At t = α_j / −δ_j. The first of them ends the walk.",
    ),
    reference=farthest,
    inputs=a_change,
    cases=({"m": 2}, {"m": 3}, {"m": 4}, {"m": 4}, {"m": 5}, {"m": 6}, {"m": 7}, {"m": 8}, {"m": 9}),
    smallest={"m": 2},
    properties=(
        properties.finite(),
        properties.Property("row", "What comes back is a row of weights: not negative, sum 1.", still_weights),
    ),
    mistakes=(
        Mistake("a step of 1", (("step * delta", "delta"),), "Step 1 may go too far, or not far enough."),
        Mistake(
            "the last to reach 0",
            ((".min()", ".max()"),),
            "The walk ends when the *first* weight reaches 0; later ones would come too late.",
        ),
        Mistake(
            "those that rise",
            (("delta < 0", "delta > 0"), ("/ -delta", "/ delta")),
            "Weights that rise never reach 0. Those with a negative delta do.",
        ),
        Mistake("walked backward", (("+ step * delta", "- step * delta"),), "This walks against delta."),
        Mistake(
            "cut off at 0",
            (("weights + step * delta", "(weights + delta).clamp(min=0)"),),
            "Cutting weights off at 0 changes the sum and the output.",
        ),
        Mistake(
            "made to sum to 1 again",
            (("weights + step * delta", "(weights + delta).clamp(min=0) / (weights + delta).clamp(min=0).sum()"),),
            "Cutting off and rescaling leaves the line on which the output is the same.",
        ),
        Mistake(
            "the smallest weight over the largest fall",
            (
                (
                    "(weights[falling] / -delta[falling]).min()",
                    "weights[falling].min() / (-delta[falling]).max()",
                ),
            ),
            "Each weight has its own delta: divide first, then take the smallest.",
        ),
        Mistake(
            "half of the way",
            (("step * delta", "step / 2 * delta"),),
            "One may go until a weight is exactly 0.",
        ),
    ),
)


# ---- Numbers and questions


def rooms():
    """m − (d_v + 1) directions, if the values are in general position and there are more keys than that."""
    return [50 - (32 + 1), 0]


ROOM = NumberExercise(
    name="room-for-other-weights",
    chapter=18,
    title="How many ways to change a row",
    level="Warm-up",
    minutes=10,
    statement=r"""
A head has values of 32 numbers. In how many independent directions can a row of weights be changed, all of them
positive, such that it still sums to 1 and the output stays the same, (1) with 50 keys, (2) with 20? The values lie in
no special position. Give both numbers.
""",
    hints=("Each component of the output is an equation, and the sum is one more.", "Fewer keys than equations: none."),
    answer=rooms,
    tolerance=0.0001,
    mistakes=(
        WrongNumber("the sum forgotten", lambda: [50 - 32, 0], "The sum of the changes is 0: one more equation."),
        WrongNumber(
            "a negative number",
            lambda: [17, 20 - 33],
            "With more equations than keys nothing is left: 0 directions, not fewer.",
        ),
        WrongNumber("the equations", lambda: [33, 33], "33 is the number of equations. What is left of 50?"),
        WrongNumber("each weight but one", lambda: [49, 19], "The sum alone leaves so many. The output must stay too."),
        WrongNumber("fewer equations", lambda: [50 - 31, 0], "32 equations for the output and one for the sum."),
    ),
)

UNIFORM = ChoiceExercise(
    name="uniform-does-as-well",
    chapter=18,
    title="Frozen, and as good",
    level="Practice",
    minutes=3,
    statement=(
        "A classifier with attention is trained again with its weights frozen at $1/n$, and has the same accuracy on "
        "new texts. What follows for the maps of the first one?"
    ),
    hints=("What does the task need, and what did this model do?",),
    choices=(
        Choice(
            "The task does not need them; whether this model's answers depend on its weights has to be tested.",
            "That another model does without says that looking is not needed. Removal says what this one does.",
            right=True,
        ),
        Choice(
            "The first model ignores its weights.",
            "Shuffling the weights moved the answers of the chapter's classifiers. A model may use what it could do "
            "without.",
        ),
        Choice(
            "The maps show the reasons, as both models find the same.",
            "They have the same accuracy, not the same reasons, and need not even have the same answers.",
        ),
        Choice(
            "The attention was broken by a mistake in the code.",
            "Nothing points to one: the mean can be enough, if the layers around it can make a token loud.",
        ),
    ),
)

SHOWS = ChoiceExercise(
    name="map-in-a-report",
    chapter=18,
    title="A map in a report",
    level="Practice",
    minutes=5,
    statement=(
        "A report shows one head of the last of 12 layers: the word *refund* is dark. It says that the model rejected "
        "the request because of this word. Which finding would support the report most?"
    ),
    hints=("Faithful, not plausible. Which of these changes something and looks at the answer?",),
    choices=(
        Choice(
            "Without *refund*, and with it hidden, the answer changes; without words of little weight it does not.",
            "Removal, done in two ways, with a comparison. It tests what the answer depends on.",
            right=True,
        ),
        Choice(
            "Three experts find the map convincing.",
            "That is plausibility: it tells what people expect.",
        ),
        Choice(
            "The row sums to 1, and *refund* has 0.8 of it.",
            "In the last of 12 layers that vector has read all other words. And a sink can have 0.8, too.",
        ),
        Choice(
            "In two other heads *refund* is dark as well.",
            "Of how many? Heads can agree on a place that the answer does not depend on.",
        ),
    ),
)

EXERCISES = (RANKS, WITHOUT, ADDED, FARTHEST, ROOM, UNIFORM, SHOWS)
