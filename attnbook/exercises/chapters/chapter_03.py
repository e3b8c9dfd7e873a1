"""Chapter 3: scaled dot-product attention, step by step."""

import math

import torch

from attnbook.exercises import properties
from attnbook.exercises.kinds import Choice, ChoiceExercise, FunctionExercise, Mistake, NumberExercise, WrongNumber

SIZES = (
    {"batch": 1, "n": 1, "m": 2, "d_k": 2, "d_v": 2, "spread": 1.0},
    {"batch": 1, "n": 2, "m": 2, "d_k": 2, "d_v": 1, "spread": 1.0},
    {"batch": 1, "n": 2, "m": 3, "d_k": 4, "d_v": 2, "spread": 1.0},
    {"batch": 1, "n": 4, "m": 4, "d_k": 4, "d_v": 4, "spread": 1.0},
    {"batch": 2, "n": 3, "m": 5, "d_k": 3, "d_v": 2, "spread": 1.0},
    {"batch": 3, "n": 5, "m": 2, "d_k": 6, "d_v": 3, "spread": 1.0},
    {"batch": 3, "n": 3, "m": 3, "d_k": 3, "d_v": 3, "spread": 2.0},
    {"batch": 1, "n": 2, "m": 3, "d_k": 4, "d_v": 2, "spread": 30.0},
)


# ---- The whole of it


def scaled_dot_product(query, key, value):
    d_k = query.shape[-1]
    scores = query @ key.mT / math.sqrt(d_k)
    weights = scores.softmax(dim=-1)
    output = weights @ value
    return output, weights


def qkv(draw, batch, n, m, d_k, d_v, spread):
    return {
        "query": draw.normal(batch, n, d_k, spread=spread),
        "key": draw.normal(batch, m, d_k, spread=spread),
        "value": draw.normal(batch, m, d_v),
    }


SCALED_DOT_PRODUCT = FunctionExercise(
    name="scaled-dot-product",
    chapter=3,
    title="Attention in four lines",
    level="Practice",
    minutes=15,
    statement="""
Write scaled dot-product attention, in any style. `query` has the shape `(batch, n, d_k)`, `key` `(batch, m, d_k)`
and `value` `(batch, m, d_v)`. Return two tensors: the output, `(batch, n, d_v)`, and the weights, `(batch, n, m)`.
""",
    hints=(
        "Four steps: score every query against every key, scale, softmax, average the values.",
        "`key.mT` exchanges the last two axes of `key`, so `query @ key.mT` holds a row for each query "
        "and a column for each key.",
        "Scale by the square root of the size of *one query*, and let each query share out its weight "
        "over *its keys*: the last axis.",
    ),
    reference=scaled_dot_product,
    inputs=qkv,
    cases=SIZES,
    properties=(
        properties.finite(),
        properties.rows_sum_to_one(1),
        properties.not_negative(1),
        properties.inside_hull(part=0),
        properties.any_order("key", "value", part=0),
    ),
    mistakes=(
        Mistake(
            "no scale",
            ((" / math.sqrt(d_k)", ""),),
            "The dot products go into the softmax as they are. The larger d_k is, the further they spread, "
            "and the more one key takes all the weight.",
        ),
        Mistake(
            "multiplied by the square root",
            (("/ math.sqrt(d_k)", "* math.sqrt(d_k)"),),
            "The scale makes scores smaller; here it makes them larger, so that the weights are nearly 0 or 1.",
        ),
        Mistake(
            "divided by d_k",
            (("/ math.sqrt(d_k)", "/ d_k"),),
            "The spread of a dot product grows with the square root of d_k. Divided by d_k itself, scores "
            "shrink with the size and the weights become equal.",
        ),
        Mistake(
            "the size of the values",
            (("d_k = query.shape[-1]", "d_k = value.shape[-1]"),),
            "The scale belongs to the vectors that are compared, queries and keys. The size of the values has "
            "no part in a score.",
        ),
        Mistake(
            "the number of keys for the size",
            (("d_k = query.shape[-1]", "d_k = key.shape[-2]"),),
            "An axis too far: shape[-2] of the keys says how many there are, not how long one is.",
        ),
        Mistake(
            "the number of queries for the size",
            (("d_k = query.shape[-1]", "d_k = query.shape[-2]"),),
            "An axis too far: shape[-2] of the queries says how many there are, not how long one is.",
        ),
        Mistake(
            "softmax over the queries",
            (("softmax(dim=-1)", "softmax(dim=-2)"),),
            "Each column sums to 1 in place of each row: the queries compete for a key. A query must share "
            "out its own weight over the keys.",
        ),
        Mistake(
            "softmax over the batch",
            (("softmax(dim=-1)", "softmax(dim=0)"),),
            "dim=0 is the batch: examples that have nothing to do with each other share their weight. Count "
            "axes from the end: dim=-1.",
        ),
        Mistake(
            "softmax before the scale",
            (
                ("query @ key.mT / math.sqrt(d_k)", "query @ key.mT"),
                ("scores.softmax(dim=-1)", "scores.softmax(dim=-1) / math.sqrt(d_k)"),
            ),
            "The scale comes before the softmax, where it decides how sharp the weights are. After it, it "
            "only makes all weights smaller, and they sum to less than 1.",
        ),
        Mistake(
            "no softmax",
            (("scores.softmax(dim=-1)", "scores"),),
            "Scores are not weights: they can be negative and sum to anything. The softmax makes shares of them.",
        ),
        Mistake(
            "divided by the sum",
            (("scores.softmax(dim=-1)", "scores / scores.sum(dim=-1, keepdim=True)"),),
            "Dividing by the sum makes rows sum to 1, but scores may be negative, so shares may be too, and "
            "the sum may be 0. The exponential comes first.",
        ),
        Mistake(
            "the exponential not divided",
            (("scores.softmax(dim=-1)", "scores.exp()"),),
            "exp makes the scores positive; only dividing by the sum over the keys makes them shares.",
        ),
        Mistake(
            "the sum over everything",
            (("scores.softmax(dim=-1)", "(lambda e: e / e.sum())((scores - scores.max()).exp())"),),
            "The exponentials are divided by the sum of them all. Each query needs its own sum, over its own "
            "keys: sum(dim=-1, keepdim=True).",
        ),
        Mistake(
            "results exchanged",
            (("return output, weights", "return weights, output"),),
            "The output comes first, then the weights.",
        ),
        Mistake(
            "the hard choice",
            (("scores.softmax(dim=-1)", "(scores == scores.amax(dim=-1, keepdim=True)).float()"),),
            "All the weight goes to the best key, as in an ordinary dictionary. The softmax gives every key a share.",
        ),
        Mistake(
            "keys for values",
            (("weights @ value", "weights @ key"),),
            "The weights come from the keys, but what is averaged are the values.",
        ),
        Mistake(
            "the mean in place of the sum",
            (("weights @ value", "weights @ value / key.shape[-2]"),),
            "The weights sum to 1 already, so their weighted sum is the average. Divided by the number of "
            "keys once more, it is too small.",
        ),
        Mistake(
            "scores for weights",
            (("return output, weights", "return output, scores"),),
            "The second result should be the weights, after the softmax; these are the scores before it.",
        ),
    ),
)


# ---- The softmax by hand, safe for large scores


def softmax_rows(scores):
    exps = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    return exps / exps.sum(dim=-1, keepdim=True)


def some_scores(draw, n, m, spread, offset):
    """Each row a little further off than the row before, so that rows are not alike."""
    return {"scores": draw.normal(n, m, spread=spread) + offset * (1 + torch.arange(n))[:, None]}


SOFTMAX = FunctionExercise(
    name="softmax",
    chapter=3,
    title="A softmax that does not overflow",
    level="Practice",
    minutes=10,
    statement="""
Write the softmax along the last axis without calling one. `scores` has the shape `(n, m)`. Scores of 1,000 must
work too: in single precision $e^{89}$ is already infinite.
""",
    hints=(
        "The exponential of each score, divided by the sum of the exponentials of its own row.",
        "Adding one number to all scores of a row changes nothing in its weights. Which number makes the "
        "largest exponential exactly 1?",
    ),
    reference=softmax_rows,
    inputs=some_scores,
    cases=(
        {"n": 1, "m": 2, "spread": 1.0, "offset": 0.0},
        {"n": 2, "m": 2, "spread": 1.0, "offset": 0.0},
        {"n": 2, "m": 3, "spread": 1.0, "offset": -2.0},
        {"n": 4, "m": 3, "spread": 2.0, "offset": 1.0},
        {"n": 3, "m": 3, "spread": 3.0, "offset": 0.0},
        {"n": 3, "m": 5, "spread": 1.0, "offset": 1000.0},
        {"n": 2, "m": 4, "spread": 1.0, "offset": -1000.0},
        {"n": 2, "m": 2, "spread": 400.0, "offset": 0.0},
    ),
    properties=(properties.finite(), properties.rows_sum_to_one(), properties.not_negative()),
    mistakes=(
        Mistake(
            "overflow",
            (("(scores - scores.amax(dim=-1, keepdim=True)).exp()", "scores.exp()"),),
            "The formula as it stands: exp of a large score is infinite, and infinity by infinity is not a "
            "number. Take the largest score of the row off first.",
        ),
        Mistake(
            "columns for rows",
            (("amax(dim=-1", "amax(dim=-2"), ("exps.sum(dim=-1", "exps.sum(dim=-2")),
            "This is the softmax of each column. A row holds the keys of one query, and it is the row that "
            "must sum to 1.",
        ),
        Mistake(
            "the sum over the columns",
            (("exps.sum(dim=-1, keepdim=True)", "exps.sum(dim=-2, keepdim=True)"),),
            "Columns sum to 1 here. A row holds the keys of one query, and it is the row that must.",
        ),
        Mistake(
            "the sum over everything",
            (("exps.sum(dim=-1, keepdim=True)", "exps.sum()"),),
            "Every row needs its own sum; this is one sum for all rows.",
        ),
        Mistake(
            "one largest for all rows",
            (("scores.amax(dim=-1, keepdim=True)", "scores.max()"),),
            "Take off the largest of the *row*. With the largest of all, a row far below it has exponentials "
            "that are all 0, and 0/0 is not a number.",
        ),
        Mistake(
            "not divided",
            (("exps / exps.sum(dim=-1, keepdim=True)", "exps"),),
            "The exponentials are positive but sum to anything. Divide by their sum.",
        ),
        Mistake(
            "no exponential",
            (("exps = (scores - scores.amax(dim=-1, keepdim=True)).exp()", "exps = scores"),),
            "Scores divided by their sum can be negative, and a sum of 0 breaks them. The exponential comes first.",
        ),
        Mistake(
            "the logarithm",
            (
                (
                    "return exps / exps.sum(dim=-1, keepdim=True)",
                    "return (scores - scores.amax(dim=-1, keepdim=True)) - exps.sum(dim=-1, keepdim=True).log()",
                ),
            ),
            "This is the logarithm of the softmax.",
        ),
        Mistake(
            "the mean for the sum",
            (("exps.sum(dim=-1, keepdim=True)", "exps.mean(dim=-1, keepdim=True)"),),
            "Divided by the mean, a row sums to the number of its keys. Divide by the sum.",
        ),
        Mistake(
            "the smallest taken off",
            (("scores.amax(", "scores.amin("),),
            "Taking the smallest score off leaves the large ones large: their exponentials still overflow. "
            "Take off the largest.",
        ),
    ),
)


# ---- A listing to mend: right for one example, wrong for many


def self_attention_weights(x):
    scores = x @ x.mT / math.sqrt(x.shape[-1])
    return scores.softmax(dim=-1)


def some_tokens(draw, batch, n, d):
    return {"x": draw.normal(batch, n, d)}


BATCHED = FunctionExercise(
    name="weights-for-many",
    chapter=3,
    title="Weights for a batch",
    level="Practice",
    minutes=10,
    statement="""
The listing gives the weights of `n` tokens that ask each other, and it was tested on one sentence, shape `(n, d)`.
Now `x` has the shape `(batch, n, d)`. Mend the listing for batches.
""",
    given="""
def self_attention_weights(x):
    scores = x @ x.transpose(0, 1) / math.sqrt(x.shape[1])
    return scores.softmax(dim=1)
""",
    hints=(
        "Count the axes of `x` from the end: which ones do `transpose(0, 1)`, `shape[1]` and `dim=1` mean now?",
        "`x.mT` or `x.transpose(-2, -1)`; `x.shape[-1]`; `dim=-1`.",
    ),
    reference=self_attention_weights,
    inputs=some_tokens,
    cases=(
        {"batch": 1, "n": 2, "d": 2},
        {"batch": 1, "n": 3, "d": 2},
        {"batch": 2, "n": 2, "d": 3},
        {"batch": 3, "n": 4, "d": 2},
        {"batch": 4, "n": 4, "d": 4},
        {"batch": 2, "n": 5, "d": 3},
    ),
    properties=(properties.rows_sum_to_one(), properties.not_negative()),
    mistakes=(
        Mistake(
            "softmax over the queries",
            (("dim=-1", "dim=1"),),
            "With a batch in front, axis 1 is the queries. The keys are the last axis: dim=-1.",
        ),
        Mistake(
            "the length for the size",
            (("x.shape[-1]", "x.shape[1]"),),
            "With a batch in front, shape[1] is the number of tokens. The size of one is shape[-1].",
        ),
        Mistake(
            "softmax over the batch",
            (("dim=-1", "dim=0"),),
            "Axis 0 is the batch: sentences that have nothing to do with each other share weight.",
        ),
        Mistake(
            "the batch for the size",
            (("x.shape[-1]", "x.shape[0]"),),
            "shape[0] is the number of sentences. The size of one token is shape[-1].",
        ),
        Mistake("no scale", ((" / math.sqrt(x.shape[-1])", ""),), "The square root of the size is lost."),
        Mistake(
            "one sentence for all", (("x @ x.mT", "x @ x[:1].mT"),), "Every sentence asks the keys of the first one."
        ),
        Mistake(
            "scores, not weights",
            (("scores.softmax(dim=-1)", "scores"),),
            "These are the scores; the softmax is missing.",
        ),
    ),
)


# ---- Numbers and questions


def output_of_a_query():
    """The query (0, 0, 2, 2) against the keys and values of cats, drink and milk."""
    query = torch.tensor([0.0, 0, 2, 2])
    key = torch.tensor([[2.0, 0, -1, 0], [2, 0, 1, 1], [0, 2, 1, 0]])
    value = torch.tensor([[1.0, 0], [5, 1], [2, 4]])
    weights = (key @ query / math.sqrt(4)).softmax(dim=0)
    return (weights @ value).tolist()


def _weighed(weigh):
    query = torch.tensor([0.0, 0, 2, 2])
    key = torch.tensor([[2.0, 0, -1, 0], [2, 0, 1, 1], [0, 2, 1, 0]])
    return (weigh(key @ query) @ torch.tensor([[1.0, 0], [5, 1], [2, 4]])).tolist()


OUTPUT = NumberExercise(
    name="output-of-a-query",
    chapter=3,
    title="One more query, with a pencil",
    level="Warm-up",
    minutes=10,
    statement="""
A query is (0, 0, 2, 2); keys and values are those of the chapter: (2, 0, −1, 0), (2, 0, 1, 1), (0, 2, 1, 0) and
(1, 0), (5, 1), (2, 4). What is its output? Give both numbers, to two decimals.
""",
    hints=(
        "The dot products are −2, 4 and 2, the scores half of that.",
        "The weights are about 0.035, 0.705 and 0.259.",
    ),
    answer=output_of_a_query,
    tolerance=0.006,
    mistakes=(
        WrongNumber(
            "no scale",
            lambda: _weighed(lambda s: s.softmax(0)),
            "The dot products were not divided by the square root of 4.",
        ),
        WrongNumber(
            "divided by d_k",
            lambda: _weighed(lambda s: (s / 4).softmax(0)),
            "They were divided by 4, the size; its square root is 2.",
        ),
        WrongNumber(
            "the plain mean",
            lambda: _weighed(lambda s: torch.full((3,), 1 / 3)),
            "This is the mean of the values: all weights equal.",
        ),
        WrongNumber(
            "the best key alone",
            lambda: _weighed(lambda s: (s == s.max()).float()),
            "This is the value of the key that fits best. The others have a share too.",
        ),
        WrongNumber(
            "divided by the sum",
            lambda: _weighed(lambda s: s / s.sum()),
            "The scores were divided by their sum, without the exponential.",
        ),
        WrongNumber(
            "powers of 2",
            lambda: _weighed(lambda s: (s / 2 * math.log(2)).softmax(0)),
            "These are powers of 2; the softmax takes powers of e.",
        ),
    ),
)

SHIFT = ChoiceExercise(
    name="shifted-scores",
    chapter=3,
    title="A number added to a row of scores",
    level="Warm-up",
    minutes=3,
    statement="The number 5 is added to all scores of one query. What happens to its weights?",
    hints=("Write exp(s + 5) as a product.",),
    choices=(
        Choice(
            "Nothing: they stay the same.",
            "exp(s + 5) = exp(5) · exp(s), and the factor exp(5) is above and below the line of the fraction.",
            right=True,
        ),
        Choice(
            "They all grow by the same factor.",
            "The exponentials do, but so does the sum that they are divided by. Weights sum to 1, before and after.",
        ),
        Choice(
            "They become more equal.",
            "That happens when scores are divided by a number above 1: their differences shrink. Adding "
            "leaves the differences as they are.",
        ),
        Choice(
            "The largest grows, the others shrink.",
            "That happens when scores are multiplied by a number above 1: their differences grow. Adding "
            "leaves the differences as they are.",
        ),
    ),
)

AXIS = ChoiceExercise(
    name="which-axis",
    chapter=3,
    title="Along which axis?",
    level="Warm-up",
    minutes=3,
    statement="Scores have the shape (batch, heads, queries, keys). Along which axis does the softmax go, and why?",
    hints=("Which numbers must sum to 1: those of one query, or those of one key?",),
    choices=(
        Choice(
            "The keys: each query shares out a weight of 1 over its keys.",
            "The output of a query is then an average of the values, with these shares.",
            right=True,
        ),
        Choice(
            "The queries: each key shares itself out over those who ask.",
            "Then the weights of a query sum to anything, and its output is no average of values. Nothing "
            "stops a query from getting next to nothing.",
        ),
        Choice(
            "The heads: they compete for a pair.",
            "Heads do not know of each other until their outputs are joined. Each has weights of its own.",
        ),
        Choice(
            "It makes no difference, since all scores are used.",
            "It does: the code runs for every axis and gives the same shape, and only the numbers tell. That is why "
            "the mistake lives so long.",
        ),
    ),
)

EXERCISES = (OUTPUT, SCALED_DOT_PRODUCT, SOFTMAX, BATCHED, SHIFT, AXIS)
