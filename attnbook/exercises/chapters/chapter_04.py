"""Chapter 4: masks."""

import torch

from attnbook.exercises import properties
from attnbook.exercises.kinds import Choice, ChoiceExercise, FunctionExercise, Mistake, NumberExercise, WrongNumber

# ---- Causal, aligned at the end


def causal_mask(n, m):
    query_position = torch.arange(m - n, m)[:, None]
    key_position = torch.arange(m)[None, :]
    return key_position <= query_position


def n_and_m(draw, n, more):
    return {"n": n, "m": n + more}


CAUSAL = FunctionExercise(
    name="causal-mask",
    chapter=4,
    title="Causal, with a cache",
    level="Practice",
    minutes=10,
    statement=r"""
Make the causal mask of `n` queries and `m` keys, $n \le m$: a boolean tensor of shape `(n, m)`, True where
attention is allowed. The keys stand at the positions $0, \dots, m - 1$, and the queries are the *last* `n` of
these positions, as with a cache. A query sees its own position and all before it.
""",
    hints=("Which position has the first query?", "The last query sees all keys; the one before it all but one."),
    reference=causal_mask,
    inputs=n_and_m,
    cases=(
        {"n": 1, "more": 0},
        {"n": 2, "more": 0},
        {"n": 1, "more": 3},
        {"n": 3, "more": 2},
        {"n": 4, "more": 1},
        {"n": 2, "more": 6},
        {"n": 6, "more": 0},
    ),
    smallest={"more": 0},
    mistakes=(
        Mistake(
            "aligned at the start",
            (("torch.arange(m - n, m)", "torch.arange(n)"),),
            "The first query is "
            "taken for position 0, as "
            "tril does. With a cache, the new tokens then see "
            "only the oldest ones.",
        ),
        Mistake(
            "the own position closed",
            (("<=", "<"),),
            "A query may see its own position. Without it, the first one of a text sees nothing.",
        ),
        Mistake(
            "one too far ahead",
            (("key_position <= query_position", "key_position <= query_position + 1"),),
            "Each query sees one step into the future.",
        ),
        Mistake("upside down", (("<=", ">="),), "The future is open and the past is closed."),
        Mistake(
            "the mask reversed",
            (("key_position <= query_position", "key_position > query_position"),),
            "True marks what is closed here. In this book, as in PyTorch's SDPA, True means may attend.",
        ),
        Mistake(
            "queries and keys exchanged",
            (("key_position <= query_position", "(key_position <= query_position).mT"),),
            "The rows belong to the keys. It takes n ≠ m to see it.",
        ),
        Mistake(
            "everything open",
            (("key_position <= query_position", "key_position < m + query_position - query_position"),),
            "Nothing is closed.",
        ),
        Mistake(
            "numbers for booleans",
            (("return key_position <= query_position", "return (key_position <= query_position).float()"),),
            "These are 1 and 0 as numbers. As a mask of numbers they would be *added* to the scores, and hide nothing.",
        ),
        Mistake(
            "minus infinity for booleans",
            (
                (
                    "return key_position <= query_position",
                    "return torch.zeros(n, m).masked_fill(key_position > query_position, -torch.inf)",
                ),
            ),
            "This is a bias to be added to the scores. A boolean mask was asked for.",
        ),
        Mistake("only itself", (("<=", "=="),), "Each query sees its own position and nothing else."),
        Mistake(
            "only the past of the queries",
            (("key_position <= query_position", "(key_position <= query_position) & (key_position >= m - n)"),),
            "What is in the cache is closed: a query sees only the other new tokens.",
        ),
        Mistake(
            "n and m exchanged",
            (("torch.arange(m - n, m)", "torch.arange(n - m, n)"),),
            "The queries are put n − m positions late, before the first key.",
        ),
    ),
)


# ---- Padding and fully masked rows


def masked_weights(scores, mask):
    closed = scores.masked_fill(~mask, -torch.inf)
    nothing = ~mask.any(dim=-1, keepdim=True)
    safe = closed.masked_fill(nothing, 0.0)
    return safe.softmax(dim=-1).masked_fill(nothing, 0.0)


def scores_and_mask(draw, batch, n, m, share, spread=1.0):
    mask = draw.booleans(batch, n, m, share=share)
    mask[..., 0, 0] = True
    return {"scores": draw.normal(batch, n, m, spread=spread), "mask": mask}


def _closed_scores(call, inputs):
    moved = torch.where(inputs["mask"], inputs["scores"], inputs["scores"] + 7.0)
    gap = (call(inputs).double() - call({**inputs, "scores": moved}).double()).abs().max().item()
    return f"scores were changed where the mask is False, and a weight moved by {gap:.2g}" if not gap < 1e-4 else None


def _closed_get_none(call, inputs):
    shut = call(inputs).double()[~inputs["mask"]]
    return (
        f"a closed pair has the weight {shut.abs().max().item():.2g}"
        if len(shut) and not shut.abs().max() < 1e-6
        else None
    )


WEIGHTS = FunctionExercise(
    name="masked-weights",
    chapter=4,
    title="A mask that does not close",
    level="Practice",
    minutes=15,
    statement="""
The listing should turn `scores`, `(batch, n, m)`, into attention weights under a boolean `mask` of the same shape,
True where attention is allowed. What is closed gets the weight 0, the open ones of a row sum to 1, and a row with
nothing open gets zeros. Mend it.
""",
    given="""
def masked_weights(scores, mask):
    closed = scores * mask
    return closed.softmax(dim=-1)
""",
    hints=(
        "exp(0) = 1: a score of 0 still gets a share. Which score gets none?",
        "The softmax of a row of −∞ is 0/0. Find such rows first: `~mask.any(dim=-1, keepdim=True)`.",
    ),
    reference=masked_weights,
    inputs=scores_and_mask,
    cases=(
        {"batch": 1, "n": 1, "m": 2, "share": 0.5},
        {"batch": 1, "n": 1, "m": 3, "share": 0.4},
        {"batch": 1, "n": 2, "m": 3, "share": 0.6},
        {"batch": 2, "n": 3, "m": 3, "share": 0.5},
        {"batch": 3, "n": 4, "m": 2, "share": 0.3},
        {"batch": 2, "n": 3, "m": 5, "share": 0.8, "spread": 40.0},
        {"batch": 3, "n": 3, "m": 3, "share": 0.15},
        {"batch": 2, "n": 2, "m": 4, "share": 1.0},
    ),
    properties=(
        properties.finite(),
        properties.Property("closed", "A closed pair gets the weight 0.", _closed_get_none),
        properties.rows_sum_to_one(),
        properties.Property("padding", "A closed score has no effect.", _closed_scores),
    ),
    mistakes=(
        Mistake(
            "scores multiplied by 0",
            (
                ("    closed = scores.masked_fill(~mask, -torch.inf)\n", "    closed = scores * mask\n"),
                ("safe = closed.masked_fill(nothing, 0.0)", "safe = closed"),
                ("return safe.softmax(dim=-1).masked_fill(nothing, 0.0)", "return safe.softmax(dim=-1)"),
            ),
            "A score of 0 is a score like any other: exp(0) = 1, so a closed key still gets a share.",
        ),
        Mistake(
            "multiplied by 0, empty rows emptied",
            (("scores.masked_fill(~mask, -torch.inf)", "scores * mask"),),
            "A score of 0 still gets a share, since exp(0) = 1. Only rows with nothing open come out right.",
        ),
        Mistake(
            "the mask after the softmax",
            (("return safe.softmax(dim=-1).masked_fill(nothing, 0.0)", "return scores.softmax(dim=-1) * mask"),),
            "What is open keeps the share that it had among all, so the row sums to less than 1.",
        ),
        Mistake(
            "the mask reversed",
            (("masked_fill(~mask", "masked_fill(mask"), ("~mask.any(", "mask.all(")),
            "masked_fill fills where it is True. Here what is allowed was closed.",
        ),
        Mistake(
            "an empty row is not a number",
            (("return safe.softmax(dim=-1).masked_fill(nothing, 0.0)", "return closed.softmax(dim=-1)"),),
            "A row of −∞ gives 0/0. In training such a row makes every gradient NaN.",
        ),
        Mistake(
            "an empty row is spread evenly",
            (("safe.softmax(dim=-1).masked_fill(nothing, 0.0)", "safe.softmax(dim=-1)"),),
            "A row with nothing open gets equal weights on what it must not see, as with −1e9 for −∞.",
        ),
        Mistake(
            "an empty row sees everything",
            (
                ("safe = closed.masked_fill(nothing, 0.0)", "safe = torch.where(nothing, scores, closed)"),
                ("safe.softmax(dim=-1).masked_fill(nothing, 0.0)", "safe.softmax(dim=-1)"),
            ),
            "A row with nothing open is treated as if it had no mask.",
        ),
        Mistake(
            "no mask",
            (("return safe.softmax(dim=-1).masked_fill(nothing, 0.0)", "return scores.softmax(dim=-1)"),),
            "The mask is not used.",
        ),
        Mistake(
            "softmax over the queries",
            (("safe.softmax(dim=-1)", "safe.softmax(dim=-2)"),),
            "Columns sum to 1 in place of rows.",
        ),
        Mistake(
            "a number that is not low enough",
            (("-torch.inf", "-9.0"),),
            "−9 is an ordinary score: against scores of −20 it wins.",
        ),
        Mistake(
            "the mask added",
            (("scores.masked_fill(~mask, -torch.inf)", "scores + mask.float()"),),
            "True adds 1 and False adds 0: what is allowed gets a little more, and nothing is closed.",
        ),
        Mistake(
            "every empty column",
            (("mask.any(dim=-1, keepdim=True)", "mask.any(dim=-2, keepdim=True)"),),
            "Columns that nobody sees were looked for. A row that sees nothing is what breaks the softmax.",
        ),
        Mistake(
            "any row with something closed",
            (("~mask.any(", "~mask.all("),),
            "Every row with something closed is set to 0; it should be those with *everything* closed.",
        ),
        Mistake(
            "shares not made whole",
            (
                (
                    "return safe.softmax(dim=-1).masked_fill(nothing, 0.0)",
                    "return (scores - scores.amax(dim=-1, keepdim=True)).exp() * mask",
                ),
            ),
            "The exponentials are masked but not divided by their sum.",
        ),
        Mistake(
            "multiplied, not filled",
            (("-torch.inf", "float(scores.min()) * 2"),),
            "Twice the lowest score need not be low, and is high where the lowest is positive.",
        ),
        Mistake(
            "mask the smallest of the row",
            (
                (
                    "closed = scores.masked_fill(~mask, -torch.inf)",
                    "closed = torch.where(mask, scores, scores.amin(dim=-1, keepdim=True))",
                ),
            ),
            "Closed scores are set to the lowest of their row: they still get a share.",
        ),
    ),
)


# ---- Window and padding


def window_and_padding(n, before, lengths):
    position = torch.arange(n)
    distance = position[:, None] - position[None, :]
    window = (distance >= 0) & (distance < before + 1)
    real = position[None, :] < lengths[:, None]
    return window[None, :, :] & real[:, None, :]


def window_inputs(draw, batch, n, before):
    lengths = draw.integers(1, n + 1, batch)
    lengths[-1] = n
    return {"n": n, "before": before, "lengths": lengths}


WINDOW = FunctionExercise(
    name="window-and-padding",
    chapter=4,
    title="Two masks at once",
    level="Practice",
    minutes=15,
    statement="""
Make the mask of a batch of padded texts of `n` places in which each query sees itself and the `before` places
before it, and no padding. Text `b` has `lengths[b]` real tokens, at its start; `lengths` has the shape `(batch,)`.
Return booleans, `(batch, n, n)`, rows for queries, True where attention is allowed. A query that is padding itself
gets no special treatment.
""",
    hints=(
        "Two masks: one of the distance, the same for all texts; one of the keys that are real, the same "
        "for all queries.",
        "A window over `before` places before and the own one has before + 1 places. Combine with `&`.",
    ),
    reference=window_and_padding,
    inputs=window_inputs,
    cases=(
        {"batch": 1, "n": 2, "before": 0},
        {"batch": 1, "n": 3, "before": 1},
        {"batch": 2, "n": 4, "before": 1},
        {"batch": 3, "n": 5, "before": 2},
        {"batch": 5, "n": 5, "before": 3},
        {"batch": 4, "n": 6, "before": 0},
        {"batch": 3, "n": 7, "before": 9},
    ),
    smallest={"before": 0},
    mistakes=(
        Mistake(
            "window one too small",
            (("distance < before + 1", "distance < before"),),
            "The own place counts extra: the window has before + 1 places.",
        ),
        Mistake(
            "window one too large",
            (("distance < before + 1", "distance <= before + 1"),),
            "One place more is seen than asked for.",
        ),
        Mistake("without itself", (("distance >= 0", "distance > 0"),), "A query sees itself too."),
        Mistake(
            "to both sides",
            (("(distance >= 0) & (distance < before + 1)", "distance.abs() <= before"),),
            "The window reaches into the future too.",
        ),
        Mistake(
            "the window ahead",
            (("position[:, None] - position[None, :]", "position[None, :] - position[:, None]"),),
            "The sign of the distance is wrong: the window lies after the query.",
        ),
        Mistake(
            "no window, only causal",
            (("(distance >= 0) & (distance < before + 1)", "distance >= 0"),),
            "All places before are seen; the window should end.",
        ),
        Mistake(
            "not causal",
            (("(distance >= 0) & (distance < before + 1)", "distance < before + 1"),),
            "The future is open.",
        ),
        Mistake(
            "no padding mask",
            (("window[None, :, :] & real[:, None, :]", "window[None, :, :] & torch.ones_like(real)[:, None, :]"),),
            "Padding may be seen: the lengths are not used.",
        ),
        Mistake(
            "padding on the query axis",
            (("real[:, None, :]", "real[:, :, None]"),),
            "Queries that are padding see nothing, and keys that are padding are open. It is the keys that "
            "must be closed.",
        ),
        Mistake(
            "or for and",
            (("window[None, :, :] & real", "window[None, :, :] | real"),),
            "A pair must be allowed by both masks: &.",
        ),
        Mistake(
            "padding at the start",
            (("position[None, :] < lengths[:, None]", "position[None, :] >= n - lengths[:, None]"),),
            "The real tokens are taken to stand at the end of the row.",
        ),
        Mistake(
            "one real token too many",
            (("position[None, :] < lengths", "position[None, :] <= lengths"),),
            "Positions count from 0: token number `length` is padding already.",
        ),
        Mistake(
            "the padding mask reversed",
            (("position[None, :] < lengths", "position[None, :] >= lengths"),),
            "Padding is open and the text is closed.",
        ),
        Mistake(
            "the whole mask reversed",
            (("return window[None, :, :] & real[:, None, :]", "return ~(window[None, :, :] & real[:, None, :])"),),
            "True marks what is closed here; it should mark what is allowed.",
        ),
        Mistake(
            "one length for all",
            (("lengths[:, None]\n", "lengths[:1, None].expand(len(lengths), 1)\n"),),
            "All texts get the length of the first.",
        ),
    ),
)


# ---- A number and questions


def open_pairs():
    """Window of 3 places back and itself, causal, 10 tokens."""
    return sum(min(i, 3) + 1 for i in range(10))


PAIRS = NumberExercise(
    name="open-pairs",
    chapter=4,
    title="Count the open cells",
    level="Warm-up",
    minutes=5,
    statement=(
        "Each of 10 tokens sees itself and the 3 before it, as far as there are any. How many of the 100 "
        "pairs are open?"
    ),
    hints=("The first token sees 1, the second 2, the third 3. And from the fourth on?",),
    answer=open_pairs,
    tolerance=0.001,
    mistakes=(
        WrongNumber(
            "the edge forgotten",
            lambda: 40,
            "The first three tokens have fewer than 3 before them: 6 pairs are missing.",
        ),
        WrongNumber("without themselves", lambda: 24, "Each token sees itself too."),
        WrongNumber("a window of three in all", lambda: 27, "Three before *and* itself: four places, not three."),
        WrongNumber(
            "to both sides",
            lambda: sum(1 for i in range(10) for j in range(10) if abs(i - j) <= 3),
            "The window looks back only.",
        ),
        WrongNumber("all before", lambda: 55, "This is the whole causal triangle, without the window."),
    ),
)

POLARITY = ChoiceExercise(
    name="mask-polarity",
    chapter=4,
    title="True means?",
    level="Warm-up",
    minutes=3,
    statement="""
A boolean mask that is right for `scaled_dot_product_attention` is passed to `nn.MultiheadAttention` as
`attn_mask`. What happens?
""",
    hints=("Look at the table of conventions: what does True mean for each of them?",),
    choices=(
        Choice(
            "It runs, and each query attends to exactly what it must not see.",
            "In SDPA True means may attend, in nn.MultiheadAttention it means hidden. Shapes fit, and no "
            "error says so. (A query that may see everything is left with nothing: with need_weights=True its "
            "row is NaN.)",
            right=True,
        ),
        Choice(
            "It raises an error: the types differ.",
            "Both take booleans of the same shape. That is why the mistake lives so long.",
        ),
        Choice("It works: both are PyTorch.", "Even within one library the meaning is reversed."),
        Choice(
            "The mask is added to the scores as 1 and 0.",
            "That happens with a mask of numbers. A boolean one hides where it is True.",
        ),
    ),
)

BEFORE = ChoiceExercise(
    name="before-or-after",
    chapter=4,
    title="Before or after the softmax",
    level="Practice",
    minutes=3,
    statement="Weights are computed without a mask, and then what is closed is set to 0. What is wrong with them?",
    hints=("What do the weights of a row sum to?",),
    choices=(
        Choice(
            "The rest of each row sums to less than 1, and how much less depends on what was hidden.",
            "So what is hidden still has an effect, through the sum that the others were divided by. Dividing "
            "by the new sum mends it.",
            right=True,
        ),
        Choice(
            "Nothing: closed pairs have the weight 0, and that is all a mask is for.",
            "The other weights were divided by a sum that contains what is closed. The hidden scores can be "
            "read off them.",
        ),
        Choice("They sum to more than 1.", "Something was taken away, nothing was added."),
        Choice("Only the gradients are wrong.", "The weights are wrong already: they sum to less than 1."),
    ),
)

EXERCISES = (WEIGHTS, BEFORE, CAUSAL, PAIRS, WINDOW, POLARITY)
