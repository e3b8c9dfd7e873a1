"""Chapter 14: a pretrained generator."""

import torch

from attnbook.exercises import properties
from attnbook.exercises.kinds import Choice, ChoiceExercise, FunctionExercise, Mistake, NumberExercise, WrongNumber

# ---- RMSNorm


def rms_norm(x, gain):
    mean_square = x.square().mean(dim=-1, keepdim=True)
    return x / (mean_square + 1e-5).sqrt() * gain


def to_rms_norm(draw, batch, n, d, spread, offset):
    return {"x": spread * draw.normal(batch, n, d) + offset, "gain": draw.normal(d) + 1}


def same_pattern(call, inputs):
    if not (inputs["x"].double().square().mean(dim=-1) > 0.1).all():
        return None
    gap = (call(inputs).double() - call({**inputs, "x": 50 * inputs["x"]}).double()).abs().max().item()
    return f"all numbers were multiplied by 50, and the result moved by {gap:.2g}" if not gap < 5e-3 else None


RMS_NORM = FunctionExercise(
    name="rms-norm",
    chapter=14,
    title="A common scale, and no mean",
    level="Warm-up",
    minutes=10,
    statement=r"""
Write RMSNorm. `x` has the shape `(batch, n, d)`, `gain` `(d,)`. Divide each position by the root of the mean of its own
`d` squares, with $10^{-5}$ added under the root, and multiply by `gain`, component by component. Return the shape of
`x`.
""",
    hints=("The mean over the last axis, with keepdim=True.", "No mean is taken off: that is layer norm."),
    reference=rms_norm,
    inputs=to_rms_norm,
    cases=(
        {"batch": 1, "n": 1, "d": 2, "spread": 1.0, "offset": 0.0},
        {"batch": 1, "n": 2, "d": 3, "spread": 1.0, "offset": 2.0},
        {"batch": 2, "n": 3, "d": 4, "spread": 1.0, "offset": 0.0},
        {"batch": 3, "n": 3, "d": 3, "spread": 2.0, "offset": -1.0},
        {"batch": 2, "n": 2, "d": 5, "spread": 0.0, "offset": 0.0},
        {"batch": 2, "n": 2, "d": 4, "spread": 0.004, "offset": 0.0},
        {"batch": 4, "n": 4, "d": 4, "spread": 5.0, "offset": 10.0},
    ),
    smallest={"d": 2},
    properties=(
        properties.finite(),
        properties.Property("scale", "The length of a position does not matter, only its direction.", same_pattern),
    ),
    mistakes=(
        Mistake(
            "layer norm",
            (
                (
                    "    mean_square =",
                    "    x = x - x.mean(dim=-1, keepdim=True)\n    mean_square =",
                ),
            ),
            "The mean was taken off first. That is layer norm; RMSNorm leaves it in.",
        ),
        Mistake(
            "divided by the standard deviation",
            (("x.square().mean(dim=-1, keepdim=True)", "x.var(dim=-1, correction=0, keepdim=True)"),),
            "var() measures the distance from the mean. The mean of the squares themselves was asked for.",
        ),
        Mistake(
            "the root forgotten",
            (("(mean_square + 1e-5).sqrt()", "(mean_square + 1e-5)"),),
            "Divide by the root of the mean square.",
        ),
        Mistake(
            "the sum of the squares",
            (("square().mean(", "square().sum("),),
            "The *mean* of the squares: with the sum every vector gets the length 1, whatever d is.",
        ),
        Mistake(
            "nothing added under the root",
            (("mean_square + 1e-5", "mean_square"),),
            "Where all components are 0, 0/0 is not a number.",
        ),
        Mistake(
            "added after the root",
            (("(mean_square + 1e-5).sqrt()", "(mean_square.sqrt() + 1e-5)"),),
            "The small number stands under the root, added to the mean square.",
        ),
        Mistake("a smaller small number", (("1e-5", "1e-8"),), "The number under the root is 1e-5."),
        Mistake(
            "over the positions",
            (("mean(dim=-1", "mean(dim=-2"),),
            "The mean was taken over the positions of a text. A position must not see the others: over the last axis.",
        ),
        Mistake(
            "one mean for a text",
            (("mean(dim=-1", "mean(dim=(-2, -1)"),),
            "One scale for all positions of a text. Each position has its own.",
        ),
        Mistake("no gain", ((" * gain", ""),), "The gain is not used."),
        Mistake(
            "1 added to the gain",
            (("* gain", "* (1 + gain)"),),
            "The gain is used as it is. (Some models store it less 1.)",
        ),
        Mistake(
            "the mean of the sizes",
            (("x.square().mean(dim=-1, keepdim=True)", "x.abs().mean(dim=-1, keepdim=True).square()"),),
            "The mean of the *squares*, not the square of the mean size.",
        ),
    ),
)


# ---- Top-p


def nucleus(p, share):
    ranked, order = p.sort(descending=True)
    before = ranked.cumsum(dim=0) - ranked
    kept = ranked * (before < share)
    result = torch.zeros_like(p)
    result[order] = kept / kept.sum()
    return result


def to_cut(draw, n, share):
    """Odd numbers by their sum n², in random order: all different, and with n = 4 exact in binary."""
    odd = 2.0 * torch.randperm(n, generator=draw.generator) + 1
    return {"p": odd / n**2, "share": share}


def sums_to_one(call, inputs):
    total = call(inputs).double().sum().item()
    return None if abs(total - 1) < 1e-4 else f"the result sums to {total:.4g}"


def in_any_order(call, inputs):
    before, after = call(inputs).double(), call({**inputs, "p": inputs["p"].flip(0)}).double().flip(0)
    return None if torch.allclose(before, after, atol=1e-5) else "p was reversed, and the result is not"


NUCLEUS = FunctionExercise(
    name="nucleus",
    chapter=14,
    title="The smallest set that holds the share",
    level="Practice",
    minutes=20,
    statement=r"""
Write top-p. `p` holds a probability for each of `n` tokens, shape `(n,)`, all different, in any order; `share` is a
number above 0 and below 1. Keep the most probable tokens: as few as possible that together have *at least* `share`.
Set all others to 0, rescale so that the sum is 1, and return the result in the order of `p`.
""",
    hints=(
        "Sort with descending=True; cumsum gives what the first 1, 2, 3, ... tokens hold.",
        "A token stays if those *before* it do not yet hold the share. Then put each back in its place with the "
        "indices that sort returns.",
    ),
    reference=nucleus,
    inputs=to_cut,
    cases=(
        {"n": 2, "share": 0.5},
        {"n": 3, "share": 0.9},
        {"n": 3, "share": 0.3},
        {"n": 4, "share": 0.6},
        {"n": 4, "share": 0.75},
        {"n": 5, "share": 0.7},
        {"n": 6, "share": 0.95},
        {"n": 8, "share": 0.8},
        {"n": 12, "share": 0.5},
    ),
    properties=(
        properties.finite(),
        properties.Property("sum", "The result sums to 1.", sums_to_one),
        properties.Property("order", "Each token keeps its place, wherever it stands.", in_any_order),
    ),
    mistakes=(
        Mistake(
            "stops before the share is reached",
            (("before < share", "before + ranked < share"),),
            "The token that reaches the share belongs to the set. Without it the set holds less, or nothing at all.",
        ),
        Mistake(
            "not rescaled",
            (("kept / kept.sum()", "kept"),),
            "What is left must be divided by its sum.",
        ),
        Mistake(
            "rescaled with a softmax",
            (("kept / kept.sum()", "kept.softmax(dim=0)"),),
            "A softmax of probabilities gives other ratios, and gives weight to the zeros. Divide by the sum.",
        ),
        Mistake(
            "left in the order of the ranks",
            (("result[order] =", "result[:] ="),),
            "The result is sorted: each number must go back to its token's place.",
        ),
        Mistake(
            "put back the wrong way",
            (("result[order] = kept / kept.sum()", "result = (kept / kept.sum())[order]"),),
            "`kept[order]` takes from the places where it should put: result[order] = kept.",
        ),
        Mistake(
            "the least probable kept",
            (("descending=True", "descending=False"),),
            "sort() begins with the smallest unless descending=True.",
        ),
        Mistake(
            "a share of the tokens",
            (("before < share", "torch.arange(len(p)) < share * len(p)"),),
            "This keeps a share of the *number* of tokens. The share is one of probability.",
        ),
        Mistake(
            "a threshold for each token",
            (("before < share", "ranked >= share * ranked[0]"),),
            "This compares each token with the most probable one (min-p). Top-p adds them up.",
        ),
        Mistake(
            "above 1 - share",
            (("before < share", "ranked > 1 - share"),),
            "This is a threshold for each token. Top-p adds them up.",
        ),
        Mistake(
            "only the most probable",
            (("before < share", "before < 1e-9"),),
            "This is the greedy choice.",
        ),
    ),
)


# ---- Induction


def induction_score(weights, period):
    n = len(weights)
    looks = [weights[t, t - period + 1] for t in range(period, n)]
    return sum(looks) / len(looks)


def repeated(draw, period, more):
    n = period + more
    scores = 2 * draw.normal(n, n)
    future = torch.ones(n, n).triu(1) > 0
    return {"weights": scores.masked_fill(future, -torch.inf).softmax(dim=-1), "period": period}


INDUCTION = FunctionExercise(
    name="induction-score",
    chapter=14,
    title="Does this head repeat?",
    level="Practice",
    minutes=15,
    statement=r"""
A text repeats itself: the token at position `t` is the one at `t - period`. `weights`, shape `(n, n)`, are one head's
causal weights on it, a row for each query; `n` is more than `period`, and `period` at least 2. An induction head looks
from a token to the one that *followed* the token's earlier copy. Return the mean of that weight over all positions
whose token has an earlier copy: one number.
""",
    hints=(
        "Position t has a copy if t ≥ period. The copy stands at t − period. What followed it?",
        "`weights[t, t - period + 1]`: a diagonal of the matrix.",
    ),
    reference=induction_score,
    inputs=repeated,
    cases=(
        {"period": 2, "more": 1},
        {"period": 2, "more": 2},
        {"period": 3, "more": 2},
        {"period": 3, "more": 3},
        {"period": 2, "more": 4},
        {"period": 4, "more": 4},
        {"period": 4, "more": 1},
        {"period": 5, "more": 7},
    ),
    smallest={"period": 2},
    properties=(properties.finite(),),
    mistakes=(
        Mistake(
            "the copy itself",
            (("t - period + 1", "t - period"),),
            "This looks at the earlier copy of the token. What followed it stands one further.",
        ),
        Mistake(
            "the token before the copy",
            (("t - period + 1", "t - period - 1"),),
            "This looks one *before* the copy.",
        ),
        Mistake("the token before", (("t - period + 1", "t - 1"),), "This is the score of a previous-token head."),
        Mistake(
            "rows and columns exchanged",
            (("weights[t, t - period + 1]", "weights[t - period + 1, t]"),),
            "Rows are queries: the later position asks. The other way round lies in the future, where the weight is 0.",
        ),
        Mistake(
            "one position too many",
            (("range(period, n)", "range(period - 1, n)"),),
            "Position period − 1 has no earlier copy; the first that has one is `period`.",
        ),
        Mistake(
            "one position too few",
            (("for t in range(period, n)]", "for t in range(period + 1, n)] or [weights[0, 0] * 0]"),),
            "The first position that has a copy is `period`.",
        ),
        Mistake(
            "divided by all positions",
            (("/ len(looks)", "/ n"),),
            "Divide by the number of positions that have an earlier copy.",
        ),
        Mistake("a sum", (("sum(looks) / len(looks)", "sum(looks)"),), "The mean was asked for."),
        Mistake("the largest", (("sum(looks) / len(looks)", "max(looks)"),), "The mean was asked for."),
        Mistake(
            "not the last position",
            (("for t in range(period, n)]", "for t in range(period, n - 1)] or [weights[0, 0] * 0]"),),
            "The last position has a copy too.",
        ),
    ),
)


# ---- A number and questions


def bytes_for_each_token():
    """Keys and values, 32 layers, 5 heads of 64 numbers, 4 bytes each."""
    return 2 * 32 * 5 * 64 * 4


CACHE = NumberExercise(
    name="cache-bytes",
    chapter=14,
    title="What one more token costs",
    level="Warm-up",
    minutes=5,
    statement="""
A larger model of the same form has 32 layers, 15 query heads, 5 heads of keys and values, and heads of 64 numbers. How
many bytes does each token of the text add to its key/value cache, at 4 bytes a number?
""",
    hints=("Which of queries, keys and values are kept?", "Keys and values: two tensors in each layer."),
    answer=bytes_for_each_token,
    tolerance=0.0001,
    mistakes=(
        WrongNumber(
            "all fifteen heads",
            lambda: 2 * 32 * 15 * 64 * 4,
            "Fifteen is the number of query heads. Kept are keys and values, which have five.",
        ),
        WrongNumber(
            "queries as well",
            lambda: 32 * (15 + 5 + 5) * 64 * 4,
            "No later token asks for the queries of earlier ones: they are not kept.",
        ),
        WrongNumber("keys alone", lambda: 32 * 5 * 64 * 4, "Values are kept as well as keys."),
        WrongNumber("one layer", lambda: 2 * 5 * 64 * 4, "Each of the 32 layers has a cache."),
        WrongNumber("one head", lambda: 2 * 32 * 64 * 4, "There are five heads of keys and values."),
        WrongNumber("numbers, not bytes", lambda: 2 * 32 * 5 * 64, "A number takes 4 bytes."),
        WrongNumber(
            "heads as long as the vectors",
            lambda: 2 * 32 * 5 * 960 * 4,
            "A head has 64 numbers; 15 · 64 = 960 is the size of the whole vector, for all query heads.",
        ),
    ),
)

LOOKS = ChoiceExercise(
    name="where-induction-looks",
    chapter=14,
    title="What comes next here?",
    level="Warm-up",
    minutes=3,
    statement=(
        "The text is `red fox blue owl red`, and the next token is to be predicted. Where does an induction head look "
        "from the last `red`?"
    ),
    hints=("It helps to predict the next token by what came next the last time.",),
    choices=(
        Choice("At `fox`.", "It followed the earlier `red`, and copying it is the prediction.", right=True),
        Choice("At the first `red`.", "That is the copy itself. What is needed is what came after it."),
        Choice("At `owl`.", "That is what a previous-token head does."),
        Choice("At itself.", "Then it would learn nothing from the earlier text."),
    ),
)

SINK = ChoiceExercise(
    name="what-the-sink-says",
    chapter=14,
    title="A dark first column",
    level="Practice",
    minutes=3,
    statement=(
        "In many heads of the chapter's model most of the weight goes to the first token, whatever that token is. What "
        "follows?"
    ),
    hints=("The chapter put other tokens in the first place. And it took the first place out of sight.",),
    choices=(
        Choice(
            "Much weight need not mean that the token's content matters; the place is used by the model all the same.",
            "Other first tokens gave about the same share and loss. Out of sight, the place was missed: the loss rose.",
            right=True,
        ),
        Choice(
            "The first word is the most important word of a text.",
            "It stayed so with a first token that had nothing to do with the text.",
        ),
        Choice(
            "These heads do nothing, and the first token can be dropped from the cache.",
            "Dropped from the cache, it raised the loss by far more than other tokens did.",
        ),
        Choice(
            "The rows of weights do not sum to 1.",
            "They do, and that is part of the explanation: what a head does not want to spend has to go somewhere.",
        ),
    ),
)

EXERCISES = (RMS_NORM, NUCLEUS, CACHE, LOOKS, INDUCTION, SINK)
