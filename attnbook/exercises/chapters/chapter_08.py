"""Chapter 8: many heads."""

import math

import torch

from attnbook.exercises import properties
from attnbook.exercises.kinds import Choice, ChoiceExercise, FunctionExercise, Mistake, NumberExercise, WrongNumber

# ---- Split and join


def split_heads(x, n_heads):
    batch, n, d_model = x.shape
    d_head = d_model // n_heads
    parts = x.reshape(batch, n, n_heads, d_head)
    return parts.transpose(1, 2)


def to_split(draw, batch, n, n_heads, d_head):
    return {"x": draw.normal(batch, n, n_heads * d_head), "n_heads": n_heads}


SPLIT = FunctionExercise(
    name="split-heads",
    chapter=8,
    title="Split into heads",
    level="Practice",
    minutes=10,
    statement="""
`x` has the shape `(batch, n, d_model)`, and `n_heads` divides `d_model`. Return the shape `(batch, n_heads, n,
d_model // n_heads)`: head 0 gets the first components of each token, head 1 the next ones, and so on.
""",
    hints=(
        "Look at one token: its d_model components are cut into n_heads pieces. So the last axis is split first.",
        "`view(batch, n, n_heads, d_head)`, then the axes of tokens and heads change places.",
    ),
    reference=split_heads,
    inputs=to_split,
    cases=(
        {"batch": 1, "n": 1, "n_heads": 2, "d_head": 2},
        {"batch": 1, "n": 2, "n_heads": 2, "d_head": 1},
        {"batch": 1, "n": 3, "n_heads": 2, "d_head": 3},
        {"batch": 2, "n": 4, "n_heads": 3, "d_head": 2},
        {"batch": 2, "n": 2, "n_heads": 2, "d_head": 2},
        {"batch": 3, "n": 4, "n_heads": 4, "d_head": 4},
    ),
    mistakes=(
        Mistake(
            "view without transpose",
            (
                ("x.reshape(batch, n, n_heads, d_head)", "x.reshape(batch, n_heads, n, d_head)"),
                ("parts.transpose(1, 2)", "parts"),
            ),
            "The shape is right and the numbers are not: a head gets all components of some tokens, and not "
            "some components of all.",
        ),
        Mistake(
            "not transposed",
            (("parts.transpose(1, 2)", "parts"),),
            "The components are cut right, but the axes are (batch, n, heads, d_head) still.",
        ),
        Mistake(
            "heads interleaved",
            (
                ("x.reshape(batch, n, n_heads, d_head)", "x.reshape(batch, n, d_head, n_heads)"),
                ("parts.transpose(1, 2)", "parts.permute(0, 3, 1, 2)"),
            ),
            "Head 0 gets every n_heads-th component in place of the first ones.",
        ),
        Mistake(
            "the wrong pair of axes",
            (("parts.transpose(1, 2)", "parts.transpose(2, 3)"),),
            "Heads and components change places; it is heads and tokens that must.",
        ),
        Mistake(
            "the batch among the heads",
            (("parts.transpose(1, 2)", "parts.transpose(1, 2).flatten(0, 1)"),),
            "Batch and heads are one axis here. They stay two.",
        ),
        Mistake(
            "heads in front",
            (("parts.transpose(1, 2)", "parts.permute(2, 0, 1, 3)"),),
            "The batch stays the first axis, the heads are the second.",
        ),
        Mistake(
            "heads in reverse order",
            (("parts.transpose(1, 2)", "parts.transpose(1, 2).flip(1)"),),
            "Head 0 gets the last components.",
        ),
        Mistake(
            "tokens cut, not components",
            (("parts = x.reshape(batch, n, n_heads, d_head)", "parts = x.mT.reshape(batch, n, n_heads, d_head)"),),
            "The axes of tokens and components were exchanged before the cut: numbers of several tokens are mixed.",
        ),
        Mistake(
            "size and number exchanged",
            (("x.reshape(batch, n, n_heads, d_head)", "x.reshape(batch, n, d_head, n_heads)"),),
            "n_heads pieces of d_head components: the number of heads comes before their size.",
        ),
    ),
)


def join_heads(heads):
    batch, n_heads, n, d_head = heads.shape
    rows = heads.transpose(1, 2)
    return rows.reshape(batch, n, n_heads * d_head)


def to_join(draw, batch, n, n_heads, d_head):
    return {"heads": draw.normal(batch, n_heads, n, d_head)}


JOIN = FunctionExercise(
    name="join-heads",
    chapter=8,
    title="A join that mixes tokens",
    level="Practice",
    minutes=10,
    statement="""
After attention, `heads` has the shape `(batch, n_heads, n, d_head)`. The listing should put the outputs of all
heads of a token side by side, `(batch, n, n_heads * d_head)`, head 0 first. Its shape is right. Mend it.
""",
    given="""
def join_heads(heads):
    batch, n_heads, n, d_head = heads.shape
    return heads.reshape(batch, n, n_heads * d_head)
""",
    hints=(
        "In memory, what comes after the last component of token 0 in head 0? And what should come after "
        "it in the result?",
        "First bring the axes into the order (batch, n, n_heads, d_head), then join the last two.",
    ),
    reference=join_heads,
    inputs=to_join,
    cases=(
        {"batch": 1, "n": 2, "n_heads": 1, "d_head": 2},
        {"batch": 1, "n": 1, "n_heads": 2, "d_head": 2},
        {"batch": 1, "n": 2, "n_heads": 2, "d_head": 1},
        {"batch": 2, "n": 3, "n_heads": 2, "d_head": 4},
        {"batch": 3, "n": 4, "n_heads": 4, "d_head": 4},
        {"batch": 2, "n": 2, "n_heads": 2, "d_head": 2},
    ),
    mistakes=(
        Mistake(
            "not transposed",
            (("heads.transpose(1, 2)", "heads"),),
            "reshape reads the numbers as they lie: all "
            "tokens of head 0 come first, so a row of the result "
            "mixes tokens.",
        ),
        Mistake(
            "heads interleaved",
            (("heads.transpose(1, 2)", "heads.permute(0, 2, 3, 1)"),),
            "The first components of all heads come first, then the second ones. Each head should stay together.",
        ),
        Mistake(
            "heads summed",
            (("rows.reshape(batch, n, n_heads * d_head)", "rows.sum(dim=2)"),),
            "The heads are added up. They should stand side by side; adding is what the output projection does.",
        ),
        Mistake(
            "the mean of the heads",
            (("rows.reshape(batch, n, n_heads * d_head)", "rows.mean(dim=2)"),),
            "The heads are averaged. They should stand side by side.",
        ),
        Mistake(
            "heads in reverse order",
            (("heads.transpose(1, 2)", "heads.flip(1).transpose(1, 2)"),),
            "The last head stands first.",
        ),
        Mistake(
            "the wrong pair of axes",
            (("heads.transpose(1, 2)", "heads.transpose(2, 3)"),),
            "Tokens and components change places; it is heads and tokens that must.",
        ),
        Mistake(
            "not joined",
            (("rows.reshape(batch, n, n_heads * d_head)", "rows"),),
            "The axes stand right, but heads and their components are two axes still.",
        ),
        Mistake(
            "the first head alone",
            (("rows.reshape(batch, n, n_heads * d_head)", "rows[:, :, 0]"),),
            "The other heads are dropped.",
        ),
        Mistake(
            "joined along the tokens",
            (("rows.reshape(batch, n, n_heads * d_head)", "heads.flatten(1, 2)"),),
            "The heads stand below each other, as if they were more tokens.",
        ),
    ),
)


# ---- Grouped queries


def grouped_query_attention(query, key, value):
    group = query.shape[1] // key.shape[1]
    all_keys = key.repeat_interleave(group, dim=1)
    all_values = value.repeat_interleave(group, dim=1)
    scores = query @ all_keys.mT / math.sqrt(query.shape[-1])
    return scores.softmax(dim=-1) @ all_values


def grouped(draw, batch, kv_heads, group, n, m, d_k, d_v):
    return {
        "query": draw.normal(batch, kv_heads * group, n, d_k),
        "key": draw.normal(batch, kv_heads, m, d_k),
        "value": draw.normal(batch, kv_heads, m, d_v),
    }


def one_by_one(call, inputs):
    """Each query head alone with the key head of its group."""
    query, key, value = inputs["query"], inputs["key"], inputs["value"]
    group = query.shape[1] // key.shape[1]
    alone = [
        call(
            {
                "query": query[:, h : h + 1],
                "key": key[:, h // group : h // group + 1],
                "value": value[:, h // group : h // group + 1],
            }
        )
        for h in range(query.shape[1])
    ]
    return torch.cat(alone, dim=1)


GROUPED = FunctionExercise(
    name="grouped-query-attention",
    chapter=8,
    title="Fewer key heads",
    level="Challenge",
    minutes=20,
    statement="""
Write grouped-query attention. `query` has the shape `(batch, h, n, d_k)`, `key` `(batch, g, m, d_k)` and `value`
`(batch, g, m, d_v)`, and `g` divides `h`. Neighboring query heads share a key head: with 4 and 2, heads 0 and 1
use key head 0, heads 2 and 3 key head 1. No mask. Return the output, `(batch, h, n, d_v)`.
""",
    hints=(
        "Repeat each key head for its group, then it is multi-head attention. How many query heads are in a group?",
        "`repeat_interleave` keeps neighbors together; `repeat` deals the heads out in turn.",
    ),
    reference=grouped_query_attention,
    inputs=grouped,
    cases=(
        {"batch": 1, "kv_heads": 1, "group": 1, "n": 1, "m": 2, "d_k": 2, "d_v": 1},
        {"batch": 1, "kv_heads": 1, "group": 2, "n": 2, "m": 2, "d_k": 2, "d_v": 2},
        {"batch": 1, "kv_heads": 2, "group": 1, "n": 2, "m": 3, "d_k": 2, "d_v": 2},
        {"batch": 1, "kv_heads": 2, "group": 2, "n": 2, "m": 3, "d_k": 4, "d_v": 2},
        {"batch": 2, "kv_heads": 2, "group": 3, "n": 3, "m": 5, "d_k": 3, "d_v": 4},
        {"batch": 3, "kv_heads": 3, "group": 2, "n": 4, "m": 2, "d_k": 5, "d_v": 3},
        {"batch": 4, "kv_heads": 2, "group": 2, "n": 4, "m": 4, "d_k": 4, "d_v": 4},
    ),
    properties=(
        properties.finite(),
        properties.any_order("key", "value"),
        properties.equal_to(
            "grouped = repeated",
            "Each query head gives what it gives alone with the key head of its group.",
            one_by_one,
            "a query head was run alone with its key head",
        ),
    ),
    mistakes=(
        Mistake(
            "heads dealt out in turn",
            (
                ("key.repeat_interleave(group, dim=1)", "key.repeat(1, group, 1, 1)"),
                ("value.repeat_interleave(group, dim=1)", "value.repeat(1, group, 1, 1)"),
            ),
            "Query heads 0, 1, 2, 3 use key heads 0, 1, 0, 1. Neighbors should share one: 0, 0, 1, 1.",
        ),
        Mistake(
            "keys and values in different orders",
            (("key.repeat_interleave(group, dim=1)", "key.repeat(1, group, 1, 1)"),),
            "The keys are dealt out "
            "in turn, the values are "
            "not: a head averages values of another head than "
            "the one it asked.",
        ),
        Mistake(
            "values dealt out in turn",
            (("value.repeat_interleave(group, dim=1)", "value.repeat(1, group, 1, 1)"),),
            "The values are dealt "
            "out in turn, the keys are "
            "not: a head averages values of another head than "
            "the one it asked.",
        ),
        Mistake(
            "the first key head for all",
            (
                ("key.repeat_interleave(group, dim=1)", "key[:, :1]"),
                ("value.repeat_interleave(group, dim=1)", "value[:, :1]"),
            ),
            "All query heads use key head 0. That is multi-query attention with the others thrown away.",
        ),
        Mistake(
            "the mean of the key heads",
            (
                ("key.repeat_interleave(group, dim=1)", "key.mean(dim=1, keepdim=True)"),
                ("value.repeat_interleave(group, dim=1)", "value.mean(dim=1, keepdim=True)"),
            ),
            "All query heads use the mean of the key heads. Each group has a head of its own.",
        ),
        Mistake("no scale", ((" / math.sqrt(query.shape[-1])", ""),), "The square root of the size is lost."),
        Mistake(
            "scaled by all heads",
            (("math.sqrt(query.shape[-1])", "math.sqrt(query.shape[-1] * query.shape[1])"),),
            "The scale is the root of the size of one head, not of all heads together.",
        ),
        Mistake("divided by d_k", (("math.sqrt(query.shape[-1])", "query.shape[-1]"),), "The square root is missing."),
        Mistake(
            "softmax over the queries", (("softmax(dim=-1)", "softmax(dim=-2)"),), "Columns sum to 1 in place of rows."
        ),
        Mistake(
            "softmax over the heads",
            (("softmax(dim=-1)", "softmax(dim=1)"),),
            "Heads compete for a pair. Each head has weights of its own.",
        ),
        Mistake("no softmax", (("scores.softmax(dim=-1)", "scores"),), "The scores are used as weights."),
        Mistake(
            "queries averaged in a group",
            (
                (
                    "query @ all_keys.mT",
                    "query.unflatten(1, (-1, group)).mean(dim=2).repeat_interleave(group, dim=1) @ all_keys.mT",
                ),
            ),
            "The queries of a group are averaged. They share a key head, but each asks its own question.",
        ),
    ),
)


# ---- The cache


def step_with_cache(query, new_key, new_value, old_keys, old_values):
    keys = torch.cat([old_keys, new_key], dim=-2)
    values = torch.cat([old_values, new_value], dim=-2)
    scores = query @ keys.mT / math.sqrt(query.shape[-1])
    output = scores.softmax(dim=-1) @ values
    return output, keys, values


def cached(draw, heads, old, d_k, d_v):
    return {
        "query": draw.normal(heads, 1, d_k),
        "new_key": draw.normal(heads, 1, d_k),
        "new_value": draw.normal(heads, 1, d_v),
        "old_keys": draw.normal(heads, old, d_k),
        "old_values": draw.normal(heads, old, d_v),
    }


def without_cache(call, inputs):
    """Two steps, of which the first puts the last of the old keys in again."""
    if inputs["old_keys"].shape[-2] < 1:
        return None
    query = inputs["query"]
    first = call(
        {
            "query": query,
            "new_key": inputs["old_keys"][:, -1:],
            "new_value": inputs["old_values"][:, -1:],
            "old_keys": inputs["old_keys"][:, :-1],
            "old_values": inputs["old_values"][:, :-1],
        }
    )
    return call({**inputs, "old_keys": first[1], "old_values": first[2]})


CACHE = FunctionExercise(
    name="step-with-cache",
    chapter=8,
    title="One token more",
    level="Practice",
    minutes=15,
    statement="""
Write one step of a model that writes with a key/value cache. The new token brings `query` and `new_key`, `(heads,
1, d_k)`, and `new_value`, `(heads, 1, d_v)`. The cache holds `old_keys`, `(heads, t, d_k)`, and `old_values`,
`(heads, t, d_v)`, the oldest first; at the first step `t` is 0. The new token attends to the old ones and to
itself. Return three tensors: the output, `(heads, 1, d_v)`, and the keys and values for the next step.
""",
    hints=(
        "Add the new key and value to the cache first: the new token sees itself.",
        "A single new query is the last position, so it may see everything in the cache: no mask is needed.",
    ),
    reference=step_with_cache,
    inputs=cached,
    cases=(
        {"heads": 1, "old": 0, "d_k": 2, "d_v": 1},
        {"heads": 1, "old": 1, "d_k": 2, "d_v": 2},
        {"heads": 1, "old": 2, "d_k": 4, "d_v": 2},
        {"heads": 2, "old": 4, "d_k": 3, "d_v": 2},
        {"heads": 3, "old": 3, "d_k": 2, "d_v": 5},
        {"heads": 2, "old": 7, "d_k": 5, "d_v": 3},
    ),
    smallest={"old": 0},
    properties=(
        properties.finite(),
        properties.equal_to(
            "cache = no cache",
            "The cache of one step is what the next step needs.",
            without_cache,
            "the last old token was put in by a step of its own",
        ),
    ),
    mistakes=(
        Mistake(
            "does not see itself",
            (
                ("scores = query @ keys.mT", "scores = query @ old_keys.mT"),
                ("softmax(dim=-1) @ values", "softmax(dim=-1) @ old_values"),
            ),
            "The new token attends to the old ones only. At the first step nothing is there.",
        ),
        Mistake(
            "sees only itself",
            (
                ("scores = query @ keys.mT", "scores = query @ new_key.mT"),
                ("softmax(dim=-1) @ values", "softmax(dim=-1) @ new_value"),
            ),
            "The cache is kept and never read: the output is the new value.",
        ),
        Mistake(
            "the new one in front",
            (
                ("torch.cat([old_keys, new_key], dim=-2)", "torch.cat([new_key, old_keys], dim=-2)"),
                ("torch.cat([old_values, new_value], dim=-2)", "torch.cat([new_value, old_values], dim=-2)"),
            ),
            "The output is the "
            "same, since the order does "
            "not matter to attention. The cache should have the "
            "oldest first; a window, or positions, would go wrong.",
        ),
        Mistake(
            "keys and values in different orders",
            (("torch.cat([old_keys, new_key], dim=-2)", "torch.cat([new_key, old_keys], dim=-2)"),),
            "The keys have the new one in front, the values at the end: weights and values are out of step.",
        ),
        Mistake(
            "values in another order",
            (("torch.cat([old_values, new_value], dim=-2)", "torch.cat([new_value, old_values], dim=-2)"),),
            "The values have the new one in front, the keys at the end: weights and values are out of step.",
        ),
        Mistake(
            "the cache not returned",
            (("return output, keys, values", "return output, old_keys, old_values"),),
            "The next step gets the old cache back: the new token is forgotten.",
        ),
        Mistake(
            "only the new one returned",
            (("return output, keys, values", "return output, new_key, new_value"),),
            "The next step gets the new token alone: all older ones are forgotten.",
        ),
        Mistake(
            "a mask from the top left",
            (
                (
                    "scores = query @ keys.mT / math.sqrt(query.shape[-1])",
                    "scores = (query @ keys.mT / math.sqrt(query.shape[-1])).masked_fill(torch.arange(keys.shape[-2]) "
                    ""
                    ""
                    ""
                    ""
                    ""
                    ""
                    ""
                    ""
                    "> 0, -torch.inf)",
                ),
            ),
            "A causal mask aligned at the top left, as is_causal=True makes it: the one query sees the first "
            "key only. It is the last position and may see all.",
        ),
        Mistake("no scale", ((" / math.sqrt(query.shape[-1])", ""),), "The square root of the size is lost."),
        Mistake(
            "softmax over the queries",
            (("softmax(dim=-1)", "softmax(dim=-2)"),),
            "With one query every weight becomes 1: the output is the sum of all values.",
        ),
        Mistake(
            "keys and values exchanged in the cache",
            (("return output, keys, values", "return output, values, keys"),),
            "The keys come first, then the values.",
        ),
        Mistake(
            "softmax over the heads",
            (("softmax(dim=-1)", "softmax(dim=0)"),),
            "Heads share a weight of 1 for each key. Each head has weights of its own.",
        ),
        Mistake(
            "the oldest dropped",
            (
                (
                    "keys = torch.cat([old_keys, new_key], dim=-2)",
                    "keys = torch.cat([old_keys[:, 1:], new_key], dim=-2)",
                ),
                (
                    "values = torch.cat([old_values, new_value], dim=-2)",
                    "values = torch.cat([old_values[:, 1:], new_value], dim=-2)",
                ),
            ),
            "The oldest token is thrown away for the new one. That is a sliding cache; this one keeps all.",
        ),
    ),
)


# ---- Numbers and questions


def bytes_of_a_cache():
    """24 layers, 4 key heads of size 64, 8,192 tokens, 2 bytes a number: keys and values, in MiB."""
    layers, key_heads, d_head, tokens, bytes_each = 24, 4, 64, 8192, 2
    return 2 * layers * key_heads * d_head * tokens * bytes_each / 2**20


MEMORY = NumberExercise(
    name="cache-size",
    chapter=8,
    title="What the cache takes",
    level="Warm-up",
    minutes=5,
    statement="""
A model has 24 layers, 16 query heads, 4 key heads, heads of size 64, and numbers of 2 bytes. How many MiB
($2^{20}$ bytes) does its key/value cache take for one text of 8,192 tokens?
""",
    hints=(
        "For each layer, token and key head: a key and a value.",
        "2 · layers · key heads · size · tokens · bytes of a number.",
    ),
    answer=bytes_of_a_cache,
    tolerance=0.002,
    mistakes=(
        WrongNumber("keys without values", lambda: bytes_of_a_cache() / 2, "The values are kept too."),
        WrongNumber(
            "query heads",
            lambda: bytes_of_a_cache() * 16 / 4,
            "Only the 4 key heads are kept; queries are needed once.",
        ),
        WrongNumber(
            "one layer", lambda: bytes_of_a_cache() / 24, "Each of the 24 layers has keys and values of its own."
        ),
        WrongNumber(
            "four bytes a number", lambda: bytes_of_a_cache() * 2, "This counts 4 bytes a number; here it is 2."
        ),
        WrongNumber("millions of bytes", lambda: bytes_of_a_cache() * 2**20 / 1e6, "A MiB has 2^20 = 1,048,576 bytes."),
        WrongNumber("one head", lambda: bytes_of_a_cache() / 4, "There are 4 key heads."),
        WrongNumber(
            "all pairs of tokens",
            lambda: bytes_of_a_cache() * 8192,
            "Weights of pairs are not kept. The cache grows with the number of tokens, not with its square.",
        ),
    ),
)

PRICE = ChoiceExercise(
    name="price-of-heads",
    chapter=8,
    title="What more heads cost",
    level="Warm-up",
    minutes=3,
    statement="The width stays 512. The heads go from 8 of size 64 to 16 of size 32. What is the price?",
    hints=("Count the multiply-adds for both, then the weights, then the rank of W_Q W_K^T of one head.",),
    choices=(
        Choice(
            "Each head can match pairs by a matrix of rank 32 only, and twice as many weights are computed.",
            "Work and parameters stay the same: the number of heads cancels.",
            right=True,
        ),
        Choice(
            "Twice the parameters.",
            "The projections are 512 by 512 whatever the heads: each has a smaller share of them.",
        ),
        Choice(
            "Twice the multiply-adds.",
            "Twice as many score tables, each from vectors of half the size: the product stays.",
        ),
        Choice(
            "Nothing: more heads are always better.",
            "Each head has a lower rank. In the paper's own table 32 heads of 16 did worse than 8 of 64.",
        ),
    ),
)

EXERCISES = (SPLIT, JOIN, PRICE, GROUPED, CACHE, MEMORY)
