"""Chapter 15: the same attention in other libraries."""

import torch
import torch.nn.functional as F

from attnbook.exercises import properties
from attnbook.exercises.kinds import Choice, ChoiceExercise, FunctionExercise, Mistake, NumberExercise, WrongNumber

# ---- Causal after a cache


def cached_causal(query, key, value):
    n, m = query.shape[2], key.shape[2]
    i = torch.arange(m - n, m)[:, None]
    j = torch.arange(m)[None, :]
    may_attend = j <= i
    return F.scaled_dot_product_attention(query, key, value, attn_mask=may_attend)


def to_continue(draw, batch, heads, n, more, d):
    return {
        "query": draw.normal(batch, heads, n, d),
        "key": draw.normal(batch, heads, n + more, d),
        "value": draw.normal(batch, heads, n + more, d),
    }


CACHED = FunctionExercise(
    name="causal-after-a-cache",
    chapter=15,
    title="Causal at the end",
    level="Practice",
    minutes=15,
    statement=r"""
A cache holds the keys of all positions, and only the last ones have queries: `query` is `(batch, heads, n, d)`, `key`
and `value` are `(batch, heads, m, d)`, $n \le m$. Return the causal attention, `(batch, heads, n, d)`: the *last* query
sees every key, the one before it all but the last, and so on. Let PyTorch's `F.scaled_dot_product_attention` compute
it (`import torch.nn.functional as F`). Its own `is_causal` aligns the triangle at the start.
""",
    hints=(
        "The queries stand at the positions m − n to m − 1.",
        "Give the call a boolean `attn_mask` of shape (n, m), True where attention is allowed, and no `is_causal`.",
    ),
    reference=cached_causal,
    inputs=to_continue,
    cases=(
        {"batch": 1, "heads": 1, "n": 1, "more": 1, "d": 2},
        {"batch": 1, "heads": 1, "n": 2, "more": 1, "d": 2},
        {"batch": 1, "heads": 2, "n": 3, "more": 2, "d": 3},
        {"batch": 2, "heads": 2, "n": 2, "more": 4, "d": 4},
        {"batch": 2, "heads": 1, "n": 4, "more": 0, "d": 3},
    ),
    smallest={"more": 0, "d": 1},
    properties=(properties.finite(), properties.no_leak("key", "value")),
    mistakes=(
        Mistake(
            "aligned at the start",
            (("attn_mask=may_attend", "is_causal=True"),),
            "The flag puts the triangle at the start: the first query sees the first key alone, whatever the cache.",
        ),
        Mistake(
            "everything seen",
            ((", attn_mask=may_attend", ""),),
            "No mask at all: the queries see the keys of later positions.",
        ),
        Mistake(
            "the mask reversed",
            (("attn_mask=may_attend", "attn_mask=~may_attend"),),
            "In this call True means that attention is allowed. Each query sees just what comes after it.",
        ),
        Mistake(
            "not itself",
            (("j <= i", "j < i"),),
            "A query sees its own position too.",
        ),
        Mistake(
            "one too far",
            (("j <= i", "j <= i + 1"),),
            "Each query sees one key of the future.",
        ),
        Mistake(
            "the mask as numbers",
            (("attn_mask=may_attend", "attn_mask=may_attend.float()"),),
            "A mask of numbers is added to the scores: what is allowed gets 1 more, and nothing is hidden.",
        ),
        Mistake(
            "the cache left out",
            (
                ("query, key, value, attn_mask", "query, key[..., m - n :, :], value[..., m - n :, :], attn_mask"),
                ("attn_mask=may_attend", "is_causal=True"),
            ),
            "Only the keys of the new positions are there. The older ones, from the cache, may be seen by every query.",
        ),
    ),
)

# ---- Another layout


def attend_bshd(query, key, value):
    q, k, v = (x.transpose(1, 2) for x in (query, key, value))
    output = F.scaled_dot_product_attention(q, k, v)
    return output.transpose(1, 2)


def three_alike(draw, batch, n, heads, d):
    return {name: draw.normal(batch, n, heads, d) for name in ("query", "key", "value")}


LAYOUT = FunctionExercise(
    name="batch-length-heads",
    chapter=15,
    title="The layout of JAX",
    level="Warm-up",
    minutes=10,
    statement="""
`query`, `key` and `value` have the layout of JAX and of flash-attention, `(batch, length, heads, dim)`, all three of
the same shape. Return the scaled dot-product attention of each head in the same layout. PyTorch's
`F.scaled_dot_product_attention` (`import torch.nn.functional as F`) wants `(batch, heads, length, dim)`.
""",
    hints=(
        "Two axes change places on the way in, and the same two on the way out.",
        "`transpose(1, 2)` moves the axes. `reshape` to the same sizes would move the numbers to other places.",
    ),
    reference=attend_bshd,
    inputs=three_alike,
    cases=(
        {"batch": 1, "n": 2, "heads": 1, "d": 2},
        {"batch": 1, "n": 2, "heads": 3, "d": 2},
        {"batch": 2, "n": 3, "heads": 2, "d": 4},
        {"batch": 2, "n": 4, "heads": 4, "d": 3},
        {"batch": 3, "n": 5, "heads": 2, "d": 1},
    ),
    properties=(properties.finite(),),
    mistakes=(
        Mistake(
            "as it stands",
            (("x.transpose(1, 2) for", "x for"), ("output.transpose(1, 2)", "output")),
            "It runs, and the shape is right: but the heads of one position attended to each other. Each position saw "
            "nothing but itself.",
        ),
        Mistake(
            "reshaped on the way in",
            (("x.transpose(1, 2) for", "x.reshape(x.shape[0], x.shape[2], x.shape[1], -1) for"),),
            "reshape keeps the order in memory and cuts it anew: heads and positions are mixed. transpose moves axes.",
        ),
        Mistake(
            "reshaped on the way out",
            (("output.transpose(1, 2)", "output.reshape(query.shape)"),),
            "The way back moves the axes too: a reshape to the right sizes puts the numbers in other places.",
        ),
        Mistake(
            "reshaped both ways",
            (
                ("x.transpose(1, 2) for", "x.reshape(x.shape[0], x.shape[2], x.shape[1], -1) for"),
                ("output.transpose(1, 2)", "output.reshape(query.shape)"),
            ),
            "reshape keeps the order in memory and cuts it anew, on both ways: heads and positions are mixed.",
        ),
        Mistake(
            "heads joined",
            (
                (
                    "(x.transpose(1, 2) for x in (query, key, value))",
                    "(x.flatten(2).unsqueeze(1) for x in (query, key, value))",
                ),
                ("output.transpose(1, 2)", "output.transpose(1, 2).reshape(query.shape)"),
            ),
            "All heads were joined to one vector, so that there is one attention. Each head has weights of its own.",
        ),
        Mistake(
            "scaled twice",
            (("(q, k, v)\n", "(q * q.shape[-1] ** -0.5, k, v)\n"),),
            "The call scales by itself. The scores were divided by the root of d twice.",
        ),
        Mistake(
            "causal",
            (("(q, k, v)\n", "(q, k, v, is_causal=True)\n"),),
            "Nothing was to be hidden.",
        ),
    ),
)

# ---- A mask that nobody noticed


def masks_for_multihead(lengths, n):
    position = torch.arange(n)
    attn_mask = position[None, :] > position[:, None]
    key_padding_mask = position[None, :] >= lengths[:, None]
    return attn_mask, key_padding_mask


def to_mask(draw, batch, n):
    lengths = draw.integers(1, n + 1, batch)
    lengths[0] = max(1, n - 1)
    return {"lengths": lengths, "n": n}


MULTIHEAD = FunctionExercise(
    name="masks-for-multihead",
    chapter=15,
    title="It runs, and it is upside down",
    level="Practice",
    minutes=10,
    statement="""
The listing makes the two masks for a causal `nn.MultiheadAttention` on a padded batch: `attn_mask` of shape `(n, n)`
and `key_padding_mask` of shape `(batch, n)`. `lengths`, `(batch,)`, says how many tokens of each text are real; they
stand first. It was written for `F.scaled_dot_product_attention`, and with the module it runs without an error. Mend it.
Return both as boolean tensors, in this order.
""",
    given="""
def masks_for_multihead(lengths, n):
    position = torch.arange(n)
    attn_mask = position[None, :] <= position[:, None]
    key_padding_mask = position[None, :] < lengths[:, None]
    return attn_mask, key_padding_mask
""",
    hints=(
        "What does True mean for this module? Look at the table.",
        "In both masks True hides. The opposite of `<=` is `>`, and not `>=`.",
    ),
    reference=masks_for_multihead,
    inputs=to_mask,
    cases=(
        {"batch": 1, "n": 2},
        {"batch": 1, "n": 3},
        {"batch": 2, "n": 4},
        {"batch": 4, "n": 3},
        {"batch": 3, "n": 6},
    ),
    smallest={"n": 2},
    mistakes=(
        Mistake(
            "both as they were",
            (
                ("position[None, :] > position[:, None]", "position[None, :] <= position[:, None]"),
                ("position[None, :] >= lengths", "position[None, :] < lengths"),
            ),
            "Both masks are True where attention is allowed. This module hides where they are True.",
        ),
        Mistake(
            "the causal mask as it was",
            (("position[None, :] > position[:, None]", "position[None, :] <= position[:, None]"),),
            "attn_mask is True where attention is allowed. This module hides there: each query sees the future alone.",
        ),
        Mistake(
            "the padding as it was",
            (("position[None, :] >= lengths", "position[None, :] < lengths"),),
            "key_padding_mask is True for the real tokens. True is for padding: now nothing but padding is seen.",
        ),
        Mistake(
            "itself hidden",
            (("position[None, :] > position[:, None]", "position[None, :] >= position[:, None]"),),
            "A query may see its own position. (The first would be left with nothing.)",
        ),
        Mistake(
            "one of the padding shown",
            (("position[None, :] >= lengths", "position[None, :] > lengths"),),
            "Positions count from 0: with 3 real tokens, position 3 is padding.",
        ),
        Mistake(
            "the past hidden",
            (("position[None, :] > position[:, None]", "position[:, None] > position[None, :]"),),
            "The triangle is on the wrong side: rows are queries, columns keys, and what comes after is hidden.",
        ),
        Mistake(
            "nothing causal",
            (
                (
                    "position[None, :] > position[:, None]",
                    "torch.zeros(n, n, dtype=torch.bool)",
                ),
            ),
            "The causal mask hides nothing.",
        ),
        Mistake(
            "in the other order",
            (("return attn_mask, key_padding_mask", "return key_padding_mask, attn_mask"),),
            "The causal mask comes first, then the one of padding.",
        ),
    ),
)

# ---- A row with nothing


def guarded(output, mask):
    nothing = ~mask.any(dim=-1, keepdim=True)
    return output.masked_fill(nothing, 0.0)


def from_a_library(draw, batch, heads, n, m, d, share):
    mask = draw.booleans(batch, 1, n, m, share=share)
    mask[:, :, 0] = False
    mask[:, :, -1, 0] = True
    output = draw.normal(batch, heads, n, d)
    output[:, 0] = output[:, 0].masked_fill(~mask[:, 0].any(dim=-1, keepdim=True), torch.nan)
    return {"output": output, "mask": mask}


def _nothing_gives_zero(call, inputs):
    rows = call(inputs).double()[(~inputs["mask"].any(dim=-1)).expand(inputs["output"].shape[:-1])]
    return "a row with nothing to attend to is not 0" if len(rows) and not (rows == 0).all() else None


GUARD = FunctionExercise(
    name="row-guard",
    chapter=15,
    title="A row with nothing to see",
    level="Practice",
    minutes=10,
    statement="""
`output`, `(batch, heads, n, d)`, comes from some library's attention under the boolean `mask`, `(batch, 1, n, m)`, True
where attention is allowed. Where a query may attend to nothing, one library gives NaN, another the mean of the values.
Return the output with zeros in those rows and all other rows as they are. (This mends an output. Gradients would still
be NaN where the library's own were: in training, open such rows before the call.)
""",
    hints=(
        "Which rows of the mask hold no True? `any` along one of its axes.",
        "Do not multiply: 0 times NaN is NaN. `masked_fill` or `torch.where` put a number in its place.",
    ),
    reference=guarded,
    inputs=from_a_library,
    cases=(
        {"batch": 1, "heads": 1, "n": 2, "m": 2, "d": 2, "share": 0.5},
        {"batch": 1, "heads": 2, "n": 3, "m": 2, "d": 2, "share": 0.4},
        {"batch": 2, "heads": 2, "n": 4, "m": 3, "d": 3, "share": 0.3},
        {"batch": 2, "heads": 3, "n": 3, "m": 3, "d": 2, "share": 0.6},
        {"batch": 3, "heads": 2, "n": 5, "m": 4, "d": 1, "share": 0.2},
    ),
    smallest={"n": 2},
    properties=(
        properties.finite(),
        properties.Property("nothing", "A query with nothing to attend to gives 0.", _nothing_gives_zero),
    ),
    mistakes=(
        Mistake(
            "multiplied by 0",
            (("output.masked_fill(nothing, 0.0)", "output * ~nothing"),),
            "0 times NaN is NaN. Put the 0 there, with masked_fill.",
        ),
        Mistake(
            "only the NaN",
            (("output.masked_fill(nothing, 0.0)", "output.nan_to_num(0.0)"),),
            "The NaN are gone; where the library gave a mean of the values, the row still holds it.",
        ),
        Mistake(
            "any key hidden",
            (("~mask.any(", "~mask.all("),),
            "Rows with *something* hidden were cleared too. It should be those with everything hidden.",
        ),
        Mistake(
            "the other rows cleared",
            (("nothing = ~mask.any(", "nothing = mask.any("),),
            "The rows that may see something were cleared, and the others kept.",
        ),
        Mistake(
            "nothing done",
            (("return output.masked_fill(nothing, 0.0)", "return output"),),
            "The output is as it came.",
        ),
        Mistake(
            "the mean for every such row",
            (
                (
                    "output.masked_fill(nothing, 0.0)",
                    "torch.where(nothing, output.nan_to_num(0.0).mean(dim=-2, keepdim=True), output)",
                ),
            ),
            "A mean was put there. A row with nothing to see was to be 0.",
        ),
        Mistake(
            "everything cleared",
            (("output.masked_fill(nothing, 0.0)", "torch.zeros_like(output)"),),
            "All rows are 0.",
        ),
    ),
)

# ---- Numbers and questions


def pairs_of_two_triangles():
    """Four queries, six keys: the triangle at the start, then at the end."""
    start = sum(j <= i for i in range(4) for j in range(6))
    end = sum(j <= i + 6 - 4 for i in range(4) for j in range(6))
    return [start, end]


TRIANGLES = NumberExercise(
    name="two-triangles",
    chapter=15,
    title="Count both triangles",
    level="Warm-up",
    minutes=5,
    statement="""
Causal attention of 4 queries on 6 keys. How many of the 24 pairs are open if the triangle is aligned at the start, and
how many if it is aligned at the end? Give both numbers, in this order.
""",
    hints=("At the start, query 0 sees one key. At the end, query 3 sees all six.",),
    answer=pairs_of_two_triangles,
    tolerance=0.001,
    mistakes=(
        WrongNumber("in the other order", lambda: [18, 10], "First the one at the start."),
        WrongNumber(
            "without themselves",
            lambda: [6, 14],
            "A query sees its own position too: the diagonal is open.",
        ),
        WrongNumber("both at the start", lambda: [10, 10], "At the end, every query sees the two older keys as well."),
        WrongNumber("both at the end", lambda: [18, 18], "At the start, the last two keys are seen by nobody."),
        WrongNumber("closed pairs", lambda: [14, 6], "These are the closed pairs. The open ones were asked for."),
    ),
)

ONE_QUERY = ChoiceExercise(
    name="one-query-causal",
    chapter=15,
    title="One query and a flag",
    level="Practice",
    minutes=3,
    statement="""
A model writes token by token. The cache holds 99 keys, the new token brings its own as the hundredth, and one query.
Somebody calls PyTorch's `F.scaled_dot_product_attention(query, key, value, is_causal=True)`. What does the query see?
""",
    hints=("With 3 queries and 5 keys, what did the first row of PyTorch's picture show?",),
    choices=(
        Choice(
            "Only the first key of the text.",
            "The triangle begins at the start: row 0 is open in column 0 alone. The output is the first value, at "
            "every step, and no error says so.",
            right=True,
        ),
        Choice(
            "All 100 keys.",
            "That is what it should see, and what a triangle aligned at the end shows. PyTorch's begins at the start.",
        ),
        Choice(
            "Only its own key, the hundredth.",
            "Row 0 is open in column 0. The column of the new key is the last one.",
        ),
        Choice("It raises an error, since 1 and 100 differ.", "It runs, for any number of queries and keys."),
    ),
)

DROPOUT = ChoiceExercise(
    name="dropout-in-evaluation",
    chapter=15,
    title="Who turns dropout off?",
    level="Practice",
    minutes=3,
    statement="""
A module's `forward` calls `F.scaled_dot_product_attention(query, key, value, dropout_p=0.1)`. After training, the model
is put in evaluation with `model.eval()`. What does this call do then?
""",
    hints=("Does a function know the mode of the module that calls it?",),
    choices=(
        Choice(
            "It goes on dropping weights.",
            "The function has no mode. Write `dropout_p=self.dropout if self.training else 0.0`. "
            "nn.MultiheadAttention and Keras's layers look at the mode by themselves.",
            right=True,
        ),
        Choice(
            "It drops nothing: eval() turns dropout off.",
            "eval() sets a flag on modules. A function sees only its arguments.",
        ),
        Choice(
            "It drops nothing, but scales the output by 0.9.",
            "The scaling is part of dropping: what is kept is divided by 0.9, at the same time.",
        ),
        Choice("It raises an error.", "The function does not know that there is a mode."),
    ),
)

EXERCISES = (TRIANGLES, LAYOUT, CACHED, ONE_QUERY, MULTIHEAD, GUARD, DROPOUT)
