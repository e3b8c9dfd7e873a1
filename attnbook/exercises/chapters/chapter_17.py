"""Chapter 17: sparse, low-rank and linear attention."""

import torch

from attnbook.exercises import properties
from attnbook.exercises.kinds import Choice, ChoiceExercise, FunctionExercise, Mistake, NumberExercise, WrongNumber

# ---- Linear attention, all keys


def linear(query_features, key_features, values):
    state = key_features.mT @ values
    total = key_features.sum(dim=-2)
    norm = (query_features * total).sum(dim=-1, keepdim=True)
    return query_features @ state / norm


def positive_features(draw, n, m, f, d):
    return {
        "query_features": draw.normal(n, f).abs() + 0.1,
        "key_features": draw.normal(m, f).abs() + 0.1,
        "values": draw.normal(m, d),
    }


def ones_stay_ones(call, inputs):
    output = call({**inputs, "values": torch.ones_like(inputs["values"])}).double()
    gap = (output - 1).abs().max().item()
    return None if gap < 1e-3 else f"all values were 1, and an output is off by {gap:.2g}: it is no average"


def any_order(call, inputs):
    turned = {name: inputs[name].flip(0) for name in ("key_features", "values")}
    gap = (call(inputs).double() - call({**inputs, **turned}).double()).abs().max().item()
    return None if gap < 1e-3 else f"keys and values came in another order, and the output moved by {gap:.2g}"


LINEAR = FunctionExercise(
    name="linear-attention",
    chapter=17,
    title="Sum up the keys first",
    level="Warm-up",
    minutes=10,
    statement=r"""
Linear attention without a mask. `query_features` `(n, f)` and `key_features` `(m, f)` hold positive numbers,
`values` is
`(m, d)`. The weight of key `j` for query `i` is the dot product of their features, divided by the sum of these
products over all keys.
Return the outputs, `(n, d)`. Try it without a table of `n` by `m`.
""",
    hints=(
        "The sum over keys of (feature times value) is one matrix of f by d for all queries.",
        "The normalizer too: sum the features of the keys, then take the dot product with each query's.",
    ),
    reference=linear,
    inputs=positive_features,
    cases=(
        {"n": 1, "m": 1, "f": 1, "d": 1},
        {"n": 1, "m": 2, "f": 2, "d": 1},
        {"n": 2, "m": 3, "f": 2, "d": 2},
        {"n": 3, "m": 2, "f": 3, "d": 1},
        {"n": 4, "m": 4, "f": 4, "d": 4},
        {"n": 3, "m": 5, "f": 2, "d": 3},
    ),
    properties=(
        properties.finite(),
        properties.Property("average", "Equal values give that value back.", ones_stay_ones),
        properties.Property("order", "The order of the keys does not matter.", any_order),
    ),
    mistakes=(
        Mistake(
            "no normalizer",
            (("query_features @ state / norm", "query_features @ state"),),
            "The weights must sum to 1: divide by the sum of the products over all keys.",
        ),
        Mistake(
            "divided by the number of keys",
            (("/ norm", "/ len(values)"),),
            "The weights must sum to 1: the sum of the products differs from query to query.",
        ),
        Mistake(
            "one normalizer for all queries",
            (("/ norm", "/ norm.mean()"),),
            "Each query has a sum of its own.",
        ),
        Mistake(
            "normalizer of the state",
            (("/ norm", "/ state.sum()"),),
            "The normalizer is made of the features alone. Values do not belong in it.",
        ),
        Mistake(
            "a softmax on the products",
            (
                (
                    "return query_features @ state / norm",
                    "return (query_features @ key_features.mT).softmax(dim=-1) @ values",
                ),
            ),
            "Linear attention has no softmax: the products themselves, divided by their sum, are the weights.",
        ),
        Mistake(
            "divided by the number of features",
            (("/ norm", "/ (norm * query_features.shape[-1] ** 0.5)"),),
            "There is no 1/√d here: it would cancel between products and their sum.",
        ),
        Mistake(
            "mean instead of sum in the normalizer",
            (("total = key_features.sum(dim=-2)", "total = key_features.mean(dim=-2)"),),
            "The state sums over the keys, and so must the normalizer.",
        ),
    ),
)


# ---- Causal linear attention


def linear_causal(query_features, key_features, values):
    state = torch.zeros(key_features.shape[1], values.shape[1])
    total = torch.zeros(key_features.shape[1])
    outputs = []
    for i in range(len(values)):
        q, k = query_features[i], key_features[i]
        state = state + k[:, None] * values[i]
        total = total + k
        outputs.append(q @ state / (q @ total))
    return torch.stack(outputs)


def square_features(draw, n, f, d):
    return positive_features(draw, n, n, f, d)


def first_is_its_value(call, inputs):
    gap = (call(inputs)[0] - inputs["values"][0]).abs().max().item()
    return None if gap < 1e-3 else "the first position sees itself alone, and its output is not its value"


def no_leak(call, inputs):
    n = len(inputs["values"])
    if n < 2:
        return None
    changed = {name: x.clone() for name, x in inputs.items()}
    for name in ("key_features", "values"):
        changed[name][-1] += 1
    gap = (call(inputs)[:-1] - call(changed)[:-1]).abs().max().item()
    return None if gap < 1e-4 else "the last key and value were changed, and an earlier output moved"


CAUSAL = FunctionExercise(
    name="linear-attention-causal",
    chapter=17,
    title="A state that goes along",
    level="Practice",
    minutes=15,
    statement=r"""
The same for a text, causal: position `i` sees the keys `0` to `i`, its own included. `query_features` and
`key_features` are
`(n, f)`, `values` is `(n, d)`. Return the outputs, `(n, d)`.
""",
    hints=(
        "Keep two things while you go through the text: the sum of feature times value, and the sum of features.",
        "Add the position's own key and value before its query is answered.",
    ),
    reference=linear_causal,
    inputs=square_features,
    cases=(
        {"n": 1, "f": 1, "d": 1},
        {"n": 2, "f": 1, "d": 1},
        {"n": 2, "f": 2, "d": 1},
        {"n": 3, "f": 2, "d": 2},
        {"n": 4, "f": 3, "d": 1},
        {"n": 5, "f": 2, "d": 3},
        {"n": 7, "f": 4, "d": 2},
    ),
    properties=(
        properties.finite(),
        properties.Property("first", "The first position gets its own value.", first_is_its_value),
        properties.Property("causal", "No position sees a later one.", no_leak),
    ),
    mistakes=(
        Mistake(
            "its own key comes too late",
            (
                (
                    "        state = state + k[:, None] * values[i]\n        total = total + k\n"
                    "        outputs.append(q @ state / (q @ total))\n",
                    "        outputs.append(q @ state / (q @ total + 1e-9))\n"
                    "        state = state + k[:, None] * values[i]\n        total = total + k\n",
                ),
            ),
            "The position's own key and value belong to what it sees: add them first.",
        ),
        Mistake(
            "no normalizer",
            (("q @ state / (q @ total)", "q @ state"),),
            "The weights must sum to 1: divide by the sum of the products so far.",
        ),
        Mistake(
            "the normalizer of all keys",
            (("q @ state / (q @ total)", "q @ state / (q @ key_features.sum(dim=0))"),),
            "The normalizer must know the keys so far alone, as the state does.",
        ),
        Mistake(
            "all keys",
            (("q @ state / (q @ total)", "q @ (key_features.mT @ values) / (q @ key_features.sum(dim=0))"),),
            "Every position sees the whole text. Position i may see the keys 0 to i.",
        ),
        Mistake(
            "the normalizer is not kept",
            (("total = total + k", "total = k"),),
            "The sum of the features runs along with the state: add, do not replace.",
        ),
        Mistake(
            "the state is not kept",
            (("state = state + k[:, None] * values[i]", "state = k[:, None] * values[i]"),),
            "The state is a sum over all keys so far: add, do not replace.",
        ),
        Mistake(
            "a mean of earlier outputs",
            (
                (
                    "outputs.append(q @ state / (q @ total))",
                    "outputs.append((sum(outputs) + values[i]) / (len(outputs) + 1) if outputs else values[i])",
                ),
            ),
            "Each query weighs the keys anew, by its own features.",
        ),
        Mistake(
            "divided by the position",
            (("(q @ total)", "(len(outputs) + 1)"),),
            "The weights must sum to 1: divide by the sum of the products so far, not by how many there are.",
        ),
    ),
)


# ---- The delta rule


def write(state, key, value, beta):
    held = key @ state
    return state + beta * key[:, None] * (value - held)


def one_entry(draw, d_k, d_v, beta):
    key = draw.normal(d_k) + 0.05
    return {"state": draw.normal(d_k, d_v), "key": key / key.norm(), "value": draw.normal(d_v), "beta": beta}


def read_back(call, inputs):
    if inputs["beta"] != 1.0:
        return None
    gap = (inputs["key"] @ call(inputs) - inputs["value"]).abs().max().item()
    return None if gap < 1e-3 else "with beta 1 the key was written and read, and gave another value back"


def nothing_at_zero(call, inputs):
    gap = (call({**inputs, "beta": 0.0}) - inputs["state"]).abs().max().item()
    return None if gap < 1e-5 else "with beta 0 nothing should be written, and the state changed"


DELTA = FunctionExercise(
    name="delta-rule",
    chapter=17,
    title="Write over, do not add",
    level="Practice",
    minutes=10,
    statement=r"""
One step of the delta rule. `state` is `(d_k, d_v)`; reading it with a key is `key @ state`. `key` `(d_k,)` has the
length 1, `value`
is `(d_v,)`, and `beta` a number from 0 to 1. Return the new state: what the key gives afterwards is the share `1 -
beta` of what it
gave before and the share `beta` of `value`; keys at right angles to it read what they read before.
""",
    hints=(
        "First read what the state holds for this key.",
        "Then add the outer product of the key and the *difference* between value and what is held, times beta.",
    ),
    reference=write,
    inputs=one_entry,
    cases=(
        {"d_k": 1, "d_v": 1, "beta": 1.0},
        {"d_k": 2, "d_v": 1, "beta": 1.0},
        {"d_k": 2, "d_v": 2, "beta": 0.5},
        {"d_k": 3, "d_v": 2, "beta": 1.0},
        {"d_k": 3, "d_v": 3, "beta": 0.3},
        {"d_k": 4, "d_v": 2, "beta": 0.0},
        {"d_k": 5, "d_v": 4, "beta": 0.8},
    ),
    properties=(
        properties.finite(),
        properties.Property("read back", "With beta 1, what was written is read.", read_back),
        properties.Property("beta 0", "With beta 0 nothing changes.", nothing_at_zero),
    ),
    mistakes=(
        Mistake(
            "added on top",
            (("(value - held)", "value"),),
            "This adds, as plain linear attention does: what the key gave before is still there, and is read along.",
        ),
        Mistake(
            "the wrong sign",
            (("(value - held)", "(held - value)"),),
            "The correction goes toward the value: value minus what is held.",
        ),
        Mistake("no beta", (("beta * key[:, None]", "key[:, None]"),), "How much is written is up to beta."),
        Mistake(
            "beta on the value alone",
            (("beta * key[:, None] * (value - held)", "key[:, None] * (beta * value - held)"),),
            "Beta holds for both: as much as is written is taken out.",
        ),
        Mistake(
            "the whole state fades",
            (
                (
                    "return state + beta * key[:, None] * (value - held)",
                    "return (1 - beta) * state + beta * key[:, None] * value",
                ),
            ),
            "This forgets everything a little: a gate. The delta rule forgets what *this key* held.",
        ),
        Mistake(
            "all is forgotten",
            (
                (
                    "return state + beta * key[:, None] * (value - held)",
                    "return key[:, None] * (held + beta * (value - held))",
                ),
            ),
            "Only this key's entry is left. Other keys must read what they read before.",
        ),
        Mistake(
            "beta squared",
            (("beta * key[:, None]", "beta**2 * key[:, None]"),),
            "The share that is written is beta itself.",
        ),
    ),
)


# ---- Numbers and questions


def allowed_pairs():
    """Rows 0 to 255 see 1, 2, ... 256 keys; all later rows 256."""
    return sum(min(i + 1, 256) for i in range(4096))


PAIRS = NumberExercise(
    name="pairs-in-a-window",
    chapter=17,
    title="How much is left?",
    level="Warm-up",
    minutes=5,
    statement="""
A causal window on 4,096 tokens: each query sees itself and the 255 keys before it, as far as there are that many.
How many pairs
of query and key are allowed in all?
""",
    hints=("Most rows see 256 keys.", "The first rows see 1, 2, 3, ... keys."),
    answer=allowed_pairs,
    tolerance=0.000001,
    mistakes=(
        WrongNumber(
            "a full window in every row", lambda: 4096 * 256, "The first 255 rows have fewer keys before them."
        ),
        WrongNumber("255 keys", lambda: sum(min(i + 1, 255) for i in range(4096)), "Itself and 255 before: 256 keys."),
        WrongNumber("causal alone", lambda: 4096 * 4097 // 2, "The window cuts off what is farther away than 255."),
        WrongNumber("everything", lambda: 4096**2, "Neither the future nor far keys are seen."),
        WrongNumber("itself left out", lambda: sum(min(i, 255) for i in range(4096)), "Each query sees itself too."),
        WrongNumber("both sides", lambda: 4096 * 511 - 255 * 256, "The window is causal: nothing after the query."),
    ),
)


def layers():
    """One layer reaches 255 positions back, L layers 255 L."""
    return -(-4095 // 255)


LAYERS = NumberExercise(
    name="layers-to-the-start",
    chapter=17,
    title="How deep to see the start?",
    level="Practice",
    minutes=5,
    statement="""
All layers of a model have the window of the last exercise: itself and 255 keys before. What is the smallest number
of layers with which the
last of 4,096 positions can depend on the first token?
""",
    hints=("One layer reaches 255 positions back.", "The last position is 4,095 steps from the first."),
    answer=layers,
    tolerance=0.0001,
    mistakes=(
        WrongNumber("256 for each layer", lambda: 16, "A layer reaches 255 back, not 256: 16 · 255 = 4,080 < 4,095."),
        WrongNumber("one layer", lambda: 1, "One layer sees 255 tokens back."),
        WrongNumber("doubling", lambda: 5, "The reach grows by 255 with each layer. It does not double."),
        WrongNumber("one more", lambda: 18, "17 · 255 = 4,335 suffice."),
    ),
)

REVERSE = ChoiceExercise(
    name="reverse-a-text",
    chapter=17,
    title="Who can reverse a text?",
    level="Practice",
    minutes=4,
    statement=(
        "Each position must copy the token at the mirrored place: the first takes the last, the "
        "second the last but one. "
        "The text has 512 tokens, all different. Which form's weights can come as near to that as you like?"
    ),
    hints=("Which table of weights does the task ask for, and what is its rank?",),
    choices=(
        Choice(
            "Exact attention.",
            "Its table can be any permutation, with one weight near 1 in each row.",
            right=True,
        ),
        Choice(
            "Attention with a low-rank table, rank 64.",
            "A permutation of 512 has rank 512: all its singular values are 1.",
        ),
        Choice(
            "A sliding window of 64.",
            "Most of the mirrored places are farther away than 64.",
        ),
        Choice(
            "Linear attention with 64 features.",
            "Its table is a product of n by 64 and 64 by n, so its rank is at most 64 (before the division, which does "
            "not raise it).",
        ),
    ),
)

DECODING = ChoiceExercise(
    name="state-or-cache",
    chapter=17,
    title="A state or a cache",
    level="Warm-up",
    minutes=3,
    statement=(
        "A model with linear attention writes its 100,000th token. What does a head have to keep from the text so far?"
    ),
    hints=("Which sums does the recurrent form carry?",),
    choices=(
        Choice(
            "One matrix of features by values and one vector of features, whatever the length.",
            "They hold the sums over all keys: the size does not grow, and neither does what they can tell apart.",
            right=True,
        ),
        Choice(
            "100,000 keys and values.", "That is what a softmax needs. Here the keys are summed up before any query."
        ),
        Choice("A table of 100,000 by 100,000.", "Not even exact attention keeps that."),
        Choice("Only the last key and value.", "The state is a sum over all of them."),
    ),
)

EXERCISES = (PAIRS, LINEAR, LAYERS, CAUSAL, DELTA, REVERSE, DECODING)
