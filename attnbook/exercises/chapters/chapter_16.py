"""Chapter 16: what attention costs."""

import torch

from attnbook.exercises import properties
from attnbook.exercises.kinds import Choice, ChoiceExercise, FunctionExercise, Mistake, NumberExercise, WrongNumber

# ---- The online softmax, one key at a time


def running(scores, values):
    largest, total = scores[0], torch.ones(())
    summed = values[0]
    outputs = [values[0]]
    for j in range(1, len(scores)):
        larger = torch.maximum(largest, scores[j])
        shrink, power = (largest - larger).exp(), (scores[j] - larger).exp()
        total = shrink * total + power
        summed = shrink * summed + power * values[j]
        largest = larger
        outputs.append(summed / total)
    return torch.stack(outputs)


def keys_in_order(draw, m, d, spread, offset):
    return {"scores": spread * draw.normal(m) + offset, "values": draw.normal(m, d)}


def same_after_a_shift(call, inputs):
    gap = (call(inputs) - call({**inputs, "scores": inputs["scores"] + 1.0})).abs().max().item()
    return f"1 was added to every score, and the result moved by {gap:.2g}" if not gap < 1e-3 else None


def begins_with_the_first(call, inputs):
    gap = (call(inputs)[0] - inputs["values"][0]).abs().max().item()
    return None if gap < 1e-4 else "after the first key the output is not its value"


RUNNING = FunctionExercise(
    name="running-outputs",
    chapter=16,
    title="The output so far",
    level="Practice",
    minutes=20,
    statement=r"""
Keys come one at a time. `scores` has the shape `(m,)`, `values` `(m, d)`. Return the shape `(m, d)`: row `j` is the
output of the attention to the keys `0` to `j`. Scores may be as large as 1,000 and as small as -1,000. (It can be done
with three running quantities, as in the chapter; any way that gives the right numbers will pass.)
""",
    hints=(
        "Keep the largest score, the sum of the powers and the sum of the values times their powers.",
        "When the largest score rises from m to m', multiply *both* sums by exp(m - m').",
    ),
    reference=running,
    inputs=keys_in_order,
    cases=(
        {"m": 1, "d": 1, "spread": 1.0, "offset": 0.0},
        {"m": 2, "d": 1, "spread": 1.0, "offset": 0.0},
        {"m": 3, "d": 2, "spread": 1.0, "offset": 0.0},
        {"m": 4, "d": 2, "spread": 1.0, "offset": 0.0},
        {"m": 5, "d": 3, "spread": 3.0, "offset": 0.0},
        {"m": 6, "d": 2, "spread": 1.0, "offset": 1000.0},
        {"m": 6, "d": 2, "spread": 1.0, "offset": -1000.0},
        {"m": 8, "d": 3, "spread": 0.5, "offset": 0.0},
    ),
    properties=(
        properties.finite(),
        properties.Property("shift", "One number added to all scores changes nothing.", same_after_a_shift),
        properties.Property("first", "After one key the output is its value.", begins_with_the_first),
    ),
    mistakes=(
        Mistake(
            "the sum is not scaled down",
            (("total = shrink * total + power", "total = total + power"),),
            "When a larger score turns up, the powers that were summed so far are too large: scale the sum down too.",
        ),
        Mistake(
            "the values are not scaled down",
            (("summed = shrink * summed + power * values[j]", "summed = summed + power * values[j]"),),
            "When a larger score turns up, what was summed of the values is too large by the same factor.",
        ),
        Mistake(
            "nothing is scaled down",
            (
                ("total = shrink * total + power", "total = total + power"),
                ("summed = shrink * summed + power * values[j]", "summed = summed + power * values[j]"),
            ),
            "The powers are taken relative to different maxima, and cannot be added as they are.",
        ),
        Mistake(
            "scaled the wrong way round",
            (("shrink, power = (largest - larger).exp()", "shrink, power = (larger - largest).exp()"),),
            "The old sums must get smaller: the factor is exp(old - new), at most 1.",
        ),
        Mistake(
            "the largest score is not kept",
            (("        largest = larger\n", ""),),
            "The next key is compared with the first score again. Keep the new maximum.",
        ),
        Mistake(
            "not divided by the sum",
            (("outputs.append(summed / total)", "outputs.append(summed)"),),
            "The sum of the values is not yet an average: divide by the sum of the powers.",
        ),
        Mistake(
            "divided by the number of keys",
            (("outputs.append(summed / total)", "outputs.append(summed / (len(outputs) + 1))"),),
            "The average is a weighted one: divide by the sum of the powers.",
        ),
        Mistake(
            "divided twice",
            (("outputs.append(summed / total)", "summed = summed / total\n        outputs.append(summed)"),),
            "What goes on to the next key is the sum, not the average: divide for the output only.",
        ),
        Mistake(
            "no maximum",
            (
                ("largest, total = scores[0], torch.ones(())", "largest, total = scores[0], scores[0].exp()"),
                ("summed = values[0]", "summed = scores[0].exp() * values[0]"),
                ("larger = torch.maximum(largest, scores[j])", "larger = largest = 0 * scores[j]"),
            ),
            "Powers of large scores overflow, those of small ones vanish. Take the largest score so far off first.",
        ),
        Mistake(
            "the softmax of all keys",
            (("return torch.stack(outputs)", "return scores.softmax(dim=0)[:, None] * values"),),
            "These are the terms of the last row alone. Row j knows only the keys 0 to j.",
        ),
        Mistake(
            "the last row only",
            (("return torch.stack(outputs)", "return outputs[-1].expand(len(values), -1)"),),
            "Every row is the output after the last key. Row j knows only the keys 0 to j.",
        ),
    ),
)


# ---- Backward through the softmax


def score_gradient(weights, values, gradient):
    of_weights = gradient @ values.mT
    mean = (weights * of_weights).sum(dim=-1, keepdim=True)
    return weights * (of_weights - mean)


def one_head(draw, n, m, d):
    return {
        "weights": draw.normal(n, m).softmax(dim=-1),
        "values": draw.normal(m, d),
        "gradient": draw.normal(n, d),
    }


def rows_sum_to_zero(call, inputs):
    largest = call(inputs).double().sum(dim=-1).abs().max().item()
    return None if largest < 1e-4 else f"a row sums to {largest:.2g}: a shift of all scores would change the output"


GRADIENT = FunctionExercise(
    name="score-gradient",
    chapter=16,
    title="Back through the softmax",
    level="Challenge",
    minutes=20,
    statement=r"""
`weights`, `(n, m)`, are the softmax of scores along the keys; the output is `weights @ values` with `values` `(m, d)`;
`gradient`, `(n, d)`, is the gradient of a loss with respect to that output. Return the gradient with respect to the
*scores*, `(n, m)`, without autograd.
""",
    hints=(
        "First the gradient with respect to the weights: how does weight (i, j) enter the output?",
        "Then the softmax: α_j (c_j − Σ_k α_k c_k), where c is the gradient with respect to the weights.",
    ),
    reference=score_gradient,
    inputs=one_head,
    cases=(
        {"n": 1, "m": 2, "d": 1},
        {"n": 2, "m": 2, "d": 2},
        {"n": 2, "m": 3, "d": 2},
        {"n": 3, "m": 3, "d": 3},
        {"n": 4, "m": 4, "d": 4},
        {"n": 3, "m": 5, "d": 2},
        {"n": 1, "m": 1, "d": 3},
    ),
    smallest={"m": 2},
    properties=(
        properties.finite(),
        properties.Property("sum", "Each row sums to 0: the softmax does not see a shift.", rows_sum_to_zero),
    ),
    mistakes=(
        Mistake(
            "the mean not taken off",
            (("(of_weights - mean)", "of_weights"),),
            "A score also lowers the weights of the other keys: the weighted mean of the gradients comes off.",
        ),
        Mistake(
            "the gradient of the weights",
            (("return weights * (of_weights - mean)", "return of_weights"),),
            "This is the gradient with respect to the weights. The scores lie behind the softmax.",
        ),
        Mistake(
            "the plain mean taken off",
            (("(weights * of_weights).sum(dim=-1, keepdim=True)", "of_weights.mean(dim=-1, keepdim=True)"),),
            "The mean is weighted with the attention weights.",
        ),
        Mistake(
            "not multiplied by the weights",
            (("weights * (of_weights - mean)", "(of_weights - mean)"),),
            "A key with weight 0 gets no gradient: multiply by the weights.",
        ),
        Mistake(
            "the diagonal alone",
            (("weights * (of_weights - mean)", "weights * (1 - weights) * of_weights"),),
            "α(1 − α) is how a weight changes with its *own* score. The other weights change too.",
        ),
        Mistake(
            "summed over the queries",
            (("(weights * of_weights).sum(dim=-1", "(weights * of_weights).sum(dim=-2"),),
            "Each query has a softmax of its own: the mean is taken over the keys.",
        ),
        Mistake(
            "one mean for all queries",
            (("(weights * of_weights).sum(dim=-1, keepdim=True)", "(weights * of_weights).sum() / len(weights)"),),
            "Each query has a mean of its own.",
        ),
        Mistake(
            "the wrong sign",
            (("(of_weights - mean)", "(mean - of_weights)"),),
            "The sign is turned round.",
        ),
    ),
)


# ---- Numbers and questions


def gibibytes():
    """32 heads, 32,768 by 32,768 weights each, 2 bytes a weight."""
    return 32 * 32_768**2 * 2 / 2**30


TABLE = NumberExercise(
    name="table-of-weights",
    chapter=16,
    title="The table that nobody should keep",
    level="Warm-up",
    minutes=3,
    statement="""
A layer with 32 heads reads 32,768 tokens. How many GiB (2³⁰ bytes) do its attention weights take, at 2 bytes each, if
they are stored?
""",
    hints=("One weight for each query, key and head.", "32,768 = 2¹⁵."),
    answer=gibibytes,
    mistakes=(
        WrongNumber("one head", lambda: 32_768**2 * 2 / 2**30, "Each of the 32 heads has a table of its own."),
        WrongNumber(
            "one byte",
            lambda: 32 * 32_768**2 / 2**30,
            "Each weight takes 2 bytes (and the table is stored whole, future included).",
        ),
        WrongNumber("four bytes", lambda: 32 * 32_768**2 * 4 / 2**30, "2 bytes a weight were given."),
        WrongNumber("in bytes", lambda: 32 * 32_768**2 * 2, "Divide by 2³⁰."),
        WrongNumber("in GB", lambda: 32 * 32_768**2 * 2 / 1e9, "A GiB has 2³⁰ bytes, not 10⁹."),
    ),
)


def tiles():
    """Query blocks 1 to 8 of 128 tokens; block r meets key blocks 1 to r."""
    return sum(range(1, 1024 // 128 + 1))


TILES = NumberExercise(
    name="tiles-left",
    chapter=16,
    title="What causal saves",
    level="Warm-up",
    minutes=5,
    statement="""
Causal attention on 1,024 tokens, in tiles of 128 queries by 128 keys. Tiles in which nothing is allowed are skipped.
How many tiles are computed?
""",
    hints=("How many tiles does each row of tiles keep?", "1, 2, 3, ... 8."),
    answer=tiles,
    tolerance=0.0001,
    mistakes=(
        WrongNumber("all", lambda: 64, "Those above the diagonal are skipped."),
        WrongNumber("half", lambda: 32, "The tiles on the diagonal are computed too, all 8 of them."),
        WrongNumber("without the diagonal", lambda: 28, "On the diagonal a part is allowed: those tiles are computed."),
        WrongNumber("the diagonal alone", lambda: 8, "Below the diagonal everything is allowed."),
    ),
)


def operations_a_byte():
    """For each cached number, 2 bytes: one multiply-add, 2 operations, for each of the 8 queries."""
    return 2 * 8 / 2


INTENSITY = NumberExercise(
    name="operations-a-byte",
    chapter=16,
    title="One token, eight queries a key",
    level="Practice",
    minutes=8,
    statement="""
A model writes one token. 8 query heads share each head of keys and values, and the cache is in 2-byte numbers. Counting
only the scores and averages, and only the traffic of the cache: how many operations for each byte? (A multiply-add is
two operations.)
""",
    hints=(
        "Look at one number of one key. How often is it multiplied, and how many bytes is it?",
        "Values do as keys do, so the ratio is the same.",
    ),
    answer=operations_a_byte,
    tolerance=0.0001,
    mistakes=(
        WrongNumber("one query a key", lambda: 1, "8 query heads use the same key: 8 times the operations for a byte."),
        WrongNumber("multiply-adds", lambda: 4, "A multiply-add counts as two operations."),
        WrongNumber("bytes forgotten", lambda: 16, "A number takes 2 bytes."),
        WrongNumber("keys and values twice", lambda: 32, "Values have operations of their own and bytes of their own."),
    ),
)

WORK = ChoiceExercise(
    name="same-work",
    chapter=16,
    title="The same multiplications",
    level="Warm-up",
    minutes=3,
    statement=(
        "Two programs for attention do the same multiply-adds on the same machine. One is three times as slow. What is "
        "the likely reason?"
    ),
    hints=("What does a processor do while it does not multiply?",),
    choices=(
        Choice(
            "The slow one writes the table of weights to memory and reads it back, several times.",
            "A table of n by n numbers goes out and in; the fast one keeps each piece where it is computed.",
            right=True,
        ),
        Choice(
            "The fast one approximates the softmax.",
            "It need not. The online softmax is exact.",
        ),
        Choice(
            "The slow one divides by the root of the size of the keys.",
            "That is one multiplication among hundreds.",
        ),
        Choice(
            "The fast one skips the keys with small weights.",
            "Then it would do fewer multiply-adds and give another result.",
        ),
    ),
)

CHANGES = ChoiceExercise(
    name="what-tiling-changes",
    chapter=16,
    title="What tiling changes",
    level="Practice",
    minutes=3,
    statement="Attention is computed in tiles instead of by its definition. What changes as the text gets longer?",
    hints=("Three things can grow: the work, the memory, the error.",),
    choices=(
        Choice(
            "The memory grows with n instead of n²; the work still grows with n².",
            "Every pair is still compared, but no pair's weight is kept.",
            right=True,
        ),
        Choice(
            "The work grows with n instead of n².",
            "Each query still meets each key. Only approximations and sparse forms change that.",
        ),
        Choice(
            "The output gets less exact with every tile.",
            "Scaling down is exact up to rounding, whatever the number of tiles.",
        ),
        Choice(
            "Forward the memory grows with n; the backward pass needs the table all the same.",
            "With plain autograd it does. The tiles can be computed again from the log-sum-exp.",
        ),
    ),
)

EXERCISES = (TABLE, RUNNING, TILES, WORK, GRADIENT, INTENSITY, CHANGES)
