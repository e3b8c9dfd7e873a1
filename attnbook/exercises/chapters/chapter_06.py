"""Chapter 6: additive and multiplicative scores."""

import math  # noqa: F401  (for the edits of mistakes)

import torch

from attnbook.exercises import properties
from attnbook.exercises.kinds import Choice, ChoiceExercise, FunctionExercise, Mistake, NumberExercise, WrongNumber

# ---- Additive


def additive_scores(query, key, W_q, W_k, v):
    asked = query @ W_q
    offered = key @ W_k
    features = asked[:, :, None, :] + offered[:, None, :, :]
    return features.tanh() @ v


def additive_inputs(draw, batch, n, m, d_q, d_k, d_h):
    return {
        "query": draw.normal(batch, n, d_q),
        "key": draw.normal(batch, m, d_k),
        "W_q": draw.normal(d_q, d_h),
        "W_k": draw.normal(d_k, d_h),
        "v": draw.normal(d_h),
    }


ADDITIVE = FunctionExercise(
    name="additive-scores",
    chapter=6,
    title="Every query meets every key",
    level="Practice",
    minutes=15,
    statement=r"""
The listing should give the additive score $s_{ij} = v \cdot \tanh(q_i W_q + k_j W_k)$ of each query with each key.
`query` has the shape `(batch, n, d_q)`, `key` `(batch, m, d_k)`, `W_q` `(d_q, d_h)`, `W_k` `(d_k, d_h)`, `v`
`(d_h,)`; the result has `(batch, n, m)`. It was tested with `n = m`. Mend it.
""",
    given="""
def additive_scores(query, key, W_q, W_k, v):
    asked = query @ W_q
    offered = key @ W_k
    features = asked[:, None, :, :] + offered[:, :, None, :]
    return features.tanh() @ v
""",
    hints=(
        "Which axis of the result should count the queries? Change one key: which entries may move?",
        "The queries get a new axis for the keys *after* their own, the keys one for the queries *before* theirs.",
    ),
    reference=additive_scores,
    inputs=additive_inputs,
    cases=(
        {"batch": 1, "n": 1, "m": 1, "d_q": 1, "d_k": 1, "d_h": 1},
        {"batch": 1, "n": 2, "m": 2, "d_q": 2, "d_k": 2, "d_h": 2},
        {"batch": 1, "n": 2, "m": 3, "d_q": 2, "d_k": 2, "d_h": 3},
        {"batch": 2, "n": 4, "m": 3, "d_q": 3, "d_k": 2, "d_h": 4},
        {"batch": 3, "n": 3, "m": 3, "d_q": 3, "d_k": 3, "d_h": 3},
        {"batch": 2, "n": 1, "m": 5, "d_q": 2, "d_k": 4, "d_h": 2},
    ),
    mistakes=(
        Mistake(
            "rows and columns exchanged",
            (("asked[:, :, None, :] + offered[:, None, :, :]", "asked[:, None, :, :] + offered[:, :, None, :]"),),
            "The new axes are exchanged: a row belongs to a key. A softmax along the rows then runs over the queries.",
        ),
        Mistake(
            "no tanh",
            (("features.tanh() @ v", "features @ v"),),
            "Without the tanh the query adds the same number to all its scores, and the softmax takes it "
            "away: the weights do not depend on the query.",
        ),
        Mistake(
            "the tanh at the end",
            (("features.tanh() @ v", "(features @ v).tanh()"),),
            "The tanh acts on each feature, before the product with v. At the end, scores cannot leave −1 to 1.",
        ),
        Mistake(
            "a tanh for each",
            (
                ("query @ W_q", "(query @ W_q).tanh()"),
                ("key @ W_k", "(key @ W_k).tanh()"),
                ("features.tanh()", "features"),
            ),
            "The tanh acts on the sum. With one for each, query and key only add up, and the weights do not "
            "depend on the query.",
        ),
        Mistake(
            "multiplied, not added",
            (("asked[:, :, None, :] + offered", "asked[:, :, None, :] * offered"),),
            "The additive score adds the two projections.",
        ),
        Mistake(
            "scaled",
            (("features.tanh() @ v", "features.tanh() @ v / math.sqrt(len(v))"),),
            "The additive score has no scale: the tanh bounds each feature.",
        ),
        Mistake("a sigmoid", (("features.tanh()", "features.sigmoid()"),), "The bend is a tanh, between −1 and 1."),
        Mistake("a relu", (("features.tanh()", "features.relu()"),), "The bend is a tanh, between −1 and 1."),
        Mistake(
            "v is not used",
            (("features.tanh() @ v", "features.tanh().sum(dim=-1)"),),
            "Each feature has a weight of its own in v; here all count 1.",
        ),
        Mistake(
            "the mean over the features",
            (("features.tanh() @ v", "(features.tanh() * v).mean(dim=-1)"),),
            "The features are summed, not averaged.",
        ),
        Mistake(
            "the queries are not projected",
            (("query @ W_q", "query.sum(dim=-1, keepdim=True).expand(-1, -1, len(v))"),),
            "W_q is not used.",
        ),
        Mistake(
            "the difference",
            (("[:, :, None, :] + offered", "[:, :, None, :] - offered"),),
            "The projections are added. (W_k could learn a minus, but this one is given.)",
        ),
        Mistake(
            "softmax taken",
            (("features.tanh() @ v", "(features.tanh() @ v).softmax(dim=-1)"),),
            "These are weights. Only the scores were asked for.",
        ),
        Mistake(
            "the first key for all",
            (("offered[:, None, :, :]", "offered[:, None, :1, :].expand(-1, -1, key.shape[1], -1)"),),
            "Every column holds the score of the first key.",
        ),
        Mistake(
            "the sum over the keys",
            (("features.tanh() @ v", "(features.sum(dim=2, keepdim=True).expand_as(features).tanh()) @ v"),),
            "The keys were added up before the tanh: each pair has features of its own.",
        ),
        Mistake(
            "reshaped, not transposed",
            (
                ("asked[:, :, None, :] + offered[:, None, :, :]", "asked[:, None, :, :] + offered[:, :, None, :]"),
                ("features.tanh() @ v", "(features.tanh() @ v).reshape(len(query), query.shape[1], key.shape[1])"),
            ),
            "The table has a row for each key, and reshape does not exchange rows and columns.",
        ),
    ),
)


# ---- Concat


def concat_scores(query, key, W, v):
    n, m = query.shape[-2], key.shape[-2]
    left = query[:, :, None, :].expand(-1, -1, m, -1)
    right = key[:, None, :, :].expand(-1, n, -1, -1)
    stacked = torch.cat([left, right], dim=-1)
    return (stacked @ W).tanh() @ v


def concat_inputs(draw, batch, n, m, d_q, d_k, d_h):
    return {
        "query": draw.normal(batch, n, d_q),
        "key": draw.normal(batch, m, d_k),
        "W": draw.normal(d_q + d_k, d_h),
        "v": draw.normal(d_h),
    }


CONCAT = FunctionExercise(
    name="concat-scores",
    chapter=6,
    title="One below the other",
    level="Practice",
    minutes=15,
    statement=r"""
Write Luong's *concat* score: $s_{ij} = v \cdot \tanh([q_i, k_j]\, W)$, where $[q_i, k_j]$ is the query followed by
the key. `query` is `(batch, n, d_q)`, `key` `(batch, m, d_k)`, `W` `(d_q + d_k, d_h)`, `v` `(d_h,)`. Return
`(batch, n, m)`. You may make the pairs, or find a way to do without.
""",
    hints=(
        "A row times a matrix is a sum over the rows of the matrix: the first d_q of them meet the query.",
        "`query @ W[:d_q]` and `key @ W[d_q:]`: then it is the additive score.",
    ),
    reference=concat_scores,
    inputs=concat_inputs,
    cases=(
        {"batch": 1, "n": 1, "m": 1, "d_q": 1, "d_k": 1, "d_h": 1},
        {"batch": 1, "n": 2, "m": 2, "d_q": 2, "d_k": 2, "d_h": 2},
        {"batch": 1, "n": 2, "m": 3, "d_q": 2, "d_k": 2, "d_h": 3},
        {"batch": 2, "n": 4, "m": 3, "d_q": 3, "d_k": 2, "d_h": 4},
        {"batch": 3, "n": 3, "m": 3, "d_q": 3, "d_k": 3, "d_h": 3},
        {"batch": 2, "n": 1, "m": 5, "d_q": 2, "d_k": 4, "d_h": 2},
    ),
    mistakes=(
        Mistake(
            "the key first",
            (("torch.cat([left, right], dim=-1)", "torch.cat([right, left], dim=-1)"),),
            "The query comes first: the first d_q rows of W belong to it. With equal sizes nothing but the "
            "numbers tells.",
        ),
        Mistake(
            "no tanh",
            (("(stacked @ W).tanh() @ v", "(stacked @ W) @ v"),),
            "Without the tanh the weights do not depend on the query.",
        ),
        Mistake(
            "the tanh at the end",
            (("(stacked @ W).tanh() @ v", "((stacked @ W) @ v).tanh()"),),
            "The tanh acts on each feature, before the product with v.",
        ),
        Mistake(
            "the tanh at the start",
            (("(stacked @ W).tanh() @ v", "(stacked.tanh() @ W) @ v"),),
            "The tanh comes after W. Before it, queries and keys only add up.",
        ),
        Mistake(
            "rows and columns exchanged",
            (("return (stacked @ W).tanh() @ v", "return ((stacked @ W).tanh() @ v).mT"),),
            "A row belongs to a query.",
        ),
        Mistake(
            "scaled",
            (("(stacked @ W).tanh() @ v", "(stacked @ W).tanh() @ v / math.sqrt(len(v))"),),
            "The concat score has no scale.",
        ),
        Mistake(
            "only the query",
            (("[left, right]", "[left, 0 * right]"),),
            "The keys are not used: all scores of a query are equal.",
        ),
        Mistake(
            "only the key", (("[left, right]", "[0 * left, right]"),), "The queries are not used: all rows are equal."
        ),
        Mistake(
            "v is not used",
            (("(stacked @ W).tanh() @ v", "(stacked @ W).tanh().sum(dim=-1)"),),
            "Each feature has a weight of its own in v.",
        ),
        Mistake("a relu", (("(stacked @ W).tanh() @ v", "(stacked @ W).relu() @ v"),), "The bend is a tanh."),
        Mistake(
            "the mean over the features",
            (("(stacked @ W).tanh() @ v", "((stacked @ W).tanh() * v).mean(dim=-1)"),),
            "The features are summed, not averaged.",
        ),
        Mistake(
            "softmax taken",
            (("return (stacked @ W).tanh() @ v", "return ((stacked @ W).tanh() @ v).softmax(dim=-1)"),),
            "These are weights. Only the scores were asked for.",
        ),
        Mistake("a sigmoid", (("(stacked @ W).tanh() @ v", "(stacked @ W).sigmoid() @ v"),), "The bend is a tanh."),
        Mistake(
            "two tanhs",
            (("(stacked @ W).tanh() @ v", "((stacked @ W).tanh() @ v).tanh()"),),
            "One tanh is enough: the score itself is not bounded by 1.",
        ),
    ),
)


# ---- A window around a predicted place


def local_weights(scores, center, half_width):
    position = torch.arange(scores.shape[-1])
    distance = position - center[:, None]
    inside = distance.abs() <= half_width
    weights = scores.masked_fill(~inside, -torch.inf).softmax(dim=-1)
    sigma = half_width / 2
    bell = torch.exp(-distance.square() / (2 * sigma**2))
    return weights * bell


def local_inputs(draw, n, m, half_width):
    center = (draw.normal(n).sigmoid() * (m - 1)).mul(10).round().div(10)
    return {"scores": draw.normal(n, m), "center": center, "half_width": half_width}


def _outside_none(call, inputs):
    distance = (torch.arange(inputs["scores"].shape[-1]) - inputs["center"][:, None]).abs()
    outside = call(inputs).double()[distance > inputs["half_width"]]
    return (
        f"outside of its window a query has the weight {outside.abs().max():.2g}"
        if len(outside) and not outside.abs().max() < 1e-6
        else None
    )


LOCAL = FunctionExercise(
    name="local-weights",
    chapter=6,
    title="A window that moves",
    level="Challenge",
    minutes=20,
    statement=r"""
Write Luong's *local-p* weights. `scores` has the shape `(n, m)`, and `center`, `(n,)`, is the place $p$ that each
query predicts, not always a whole number; `half_width` is $D$. The softmax goes over the keys $j$ with $\lvert j -
p \rvert \le D$ only; all others get the weight 0. Then each weight is multiplied by $\exp\left(-\frac{(j -
p)^2}{2\sigma^2}\right)$ with $\sigma = D / 2$, and not made whole again. Return `(n, m)`.
""",
    hints=(
        "Three steps: close what is outside, softmax, multiply by the bell.",
        "Rows sum to less than 1 in the end. That is how the paper has it.",
    ),
    reference=local_weights,
    inputs=local_inputs,
    cases=(
        {"n": 1, "m": 2, "half_width": 1},
        {"n": 1, "m": 4, "half_width": 1},
        {"n": 2, "m": 5, "half_width": 2},
        {"n": 4, "m": 4, "half_width": 1},
        {"n": 3, "m": 9, "half_width": 3},
        {"n": 3, "m": 12, "half_width": 2},
        {"n": 2, "m": 5, "half_width": 10},
    ),
    properties=(
        properties.finite(),
        properties.Property("window", "Outside of the window every weight is 0.", _outside_none),
    ),
    mistakes=(
        Mistake(
            "made whole again",
            (
                (
                    "return weights * bell",
                    "weights = weights * bell\n    return weights / weights.sum(dim=-1, keepdim=True)",
                ),
            ),
            "The rows are divided by their sum. The paper leaves them as they are, less than 1.",
        ),
        Mistake("no bell", (("return weights * bell", "return weights"),), "This is the window alone, as in local-m."),
        Mistake(
            "no window",
            (("scores.masked_fill(~inside, -torch.inf)", "scores"),),
            "The softmax goes over all keys: the bell alone makes far weights small, but not 0.",
        ),
        Mistake(
            "the bell before the softmax",
            (
                (
                    "scores.masked_fill(~inside, -torch.inf).softmax(dim=-1)",
                    "(scores * torch.exp(-distance.square() / (2 * (half_width / 2)**2))).masked_fill(~inside, "
                    "-torch.inf).softmax(dim=-1)",
                ),
                ("return weights * bell", "return weights"),
            ),
            "The scores were multiplied by the bell. It multiplies the weights.",
        ),
        Mistake(
            "the window after the softmax",
            (("scores.masked_fill(~inside, -torch.inf).softmax(dim=-1)", "scores.softmax(dim=-1) * inside"),),
            "The softmax went over all keys, and what is inside sums to less than 1 before the bell.",
        ),
        Mistake("sigma is the half width", (("half_width / 2", "half_width"),), "σ is half of D."),
        Mistake("no 2 in the exponent", (("(2 * sigma**2)", "(sigma**2)"),), "The exponent is divided by 2σ²."),
        Mistake("sigma not squared", (("sigma**2", "sigma"),), "The exponent is divided by 2σ²."),
        Mistake(
            "the distance not squared",
            (("distance.square()", "distance.abs()"),),
            "The bell has the square of the distance.",
        ),
        Mistake(
            "a full bell",
            (
                (
                    "torch.exp(-distance.square() / (2 * sigma**2))",
                    "torch.exp(-distance.square() / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))",
                ),
            ),
            "The bell is 1 at the center; this one has the area 1.",
        ),
        Mistake("the edge left out", (("<= half_width", "< half_width"),), "A key at distance D exactly is inside."),
        Mistake(
            "the center rounded",
            (("distance = position - center[:, None]", "distance = position - center[:, None].round()"),),
            "The center need not be a whole number, and is not rounded.",
        ),
        Mistake("a quarter of the width", (("half_width / 2", "half_width / 4"),), "σ is half of D."),
        Mistake("twice the window", (("<= half_width", "<= 2 * half_width"),), "The window reaches D to each side."),
        Mistake(
            "the sign of the bell",
            (("torch.exp(-distance", "torch.exp(distance"),),
            "The bell falls with the distance.",
        ),
        Mistake(
            "softmax over the queries",
            (("softmax(dim=-1)", "softmax(dim=-2)"),),
            "Each query shares out its own weight.",
        ),
        Mistake(
            "half the window",
            (("<= half_width", "<= half_width / 2"),),
            "The window reaches D to each side, 2D in all.",
        ),
        Mistake(
            "one center for all", (("center[:, None]", "center[:1, None]"),), "Each query has a center of its own."
        ),
        Mistake("the mask reversed", (("~inside", "inside"),), "What is inside was closed."),
    ),
)


# ---- A number and questions


def parameters_of_additive():
    """d_q = 10, d_k = 20, d_h = 8, no biases."""
    return 10 * 8 + 20 * 8 + 8


PARAMETERS = NumberExercise(
    name="additive-parameters",
    chapter=6,
    title="Count the parameters",
    level="Warm-up",
    minutes=3,
    statement=(
        "How many parameters has an additive score with queries of size 10, keys of size 20 and a hidden "
        "layer of 8, without biases?"
    ),
    hints=("A matrix for the queries, one for the keys, and a vector.",),
    answer=parameters_of_additive,
    tolerance=0.0005,
    mistakes=(
        WrongNumber("without v", lambda: 240, "The vector v has 8 more."),
        WrongNumber("general", lambda: 200, "This is the matrix of the general score, 10 · 20."),
        WrongNumber("one matrix for both", lambda: 20 * 8 + 8, "Queries and keys have a matrix each."),
        WrongNumber("a bias each", lambda: 248 + 16, "There are no biases."),
        WrongNumber("v for each pair", lambda: 240 + 10 * 20, "v has one number for each of the 8 features."),
        WrongNumber("a matrix for v", lambda: 240 + 64, "v is a vector of 8 numbers, not a matrix."),
        WrongNumber(
            "the product of the sizes",
            lambda: 10 * 20 * 8,
            "The hidden layer reads query and key side by side: sizes add, they do not multiply.",
        ),
    ),
)

WITHOUT_TANH = ChoiceExercise(
    name="additive-without-tanh",
    chapter=6,
    title="Without the tanh",
    level="Practice",
    minutes=3,
    statement="The tanh of the additive score is left out. What becomes of the attention weights?",
    hints=(
        "The score is then a number of the query plus a number of the key. What does a softmax do with "
        "what is the same for all keys?",
    ),
    choices=(
        Choice(
            "They are the same for every query.",
            "The query adds one number to all its scores, and the softmax does not see it.",
            right=True,
        ),
        Choice(
            "They become sharper, since scores are no longer bounded.",
            "The scores may be larger, but the query no longer chooses: all rows are equal.",
        ),
        Choice(
            "The score becomes Luong's general score.",
            "That is a product of query and key. Without the tanh this is a sum of something of each.",
        ),
        Choice(
            "Nothing, as long as v is trained.",
            "Whatever v is, a sum of two parts cannot make a query prefer one key and another query another.",
        ),
    ),
)

SAME_KEY = ChoiceExercise(
    name="which-score-fits",
    chapter=6,
    title="Sizes that differ",
    level="Warm-up",
    minutes=3,
    statement="Queries have size 64, keys 128. Which scores can compare them as they are?",
    hints=("Which of them need q · k?",),
    choices=(
        Choice(
            "Additive, concat and general.",
            "Each has a matrix that brings both to one size; the dot product and the cosine have none.",
            right=True,
        ),
        Choice("All of them.", "A dot product needs vectors of the same size, and so does a cosine."),
        Choice("Only additive.", "General has a matrix of 64 by 128 between the two, and concat one of 192 rows."),
        Choice("Dot and scaled dot, with padding.", "Padded with zeros, half of each key would never be read."),
    ),
)

EXERCISES = (PARAMETERS, ADDITIVE, WITHOUT_TANH, CONCAT, SAME_KEY, LOCAL)
