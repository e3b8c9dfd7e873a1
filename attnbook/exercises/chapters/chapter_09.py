"""Chapter 9: positions."""

import math

import torch

from attnbook.exercises import properties
from attnbook.exercises.kinds import Choice, ChoiceExercise, FunctionExercise, Mistake, NumberExercise, WrongNumber

# ---- The sinusoidal table


def sinusoidal_table(n, d):
    position = torch.arange(n)[:, None]
    frequency = 10000.0 ** (-torch.arange(0, d, 2) / d)
    angle = position * frequency
    table = torch.zeros(n, d)
    table[:, 0::2] = angle.sin()
    table[:, 1::2] = angle.cos()
    return table


def table_size(draw, n, d):
    return {"n": n, "d": d}


SINUSOIDAL = FunctionExercise(
    name="sinusoidal-table",
    chapter=9,
    title="A table of waves",
    level="Practice",
    minutes=15,
    statement=r"""
Write the sinusoidal positions of the Transformer: for the positions $0, \dots, n - 1$ and an even size $d$ a table
of shape `(n, d)` with $\sin(i / 10000^{2k/d})$ in column $2k$ and $\cos(i / 10000^{2k/d})$ in column $2k + 1$.
""",
    hints=(
        "There are d/2 frequencies, from 1 down to nearly 1/10000. Each serves two neighboring columns.",
        "`torch.arange(0, d, 2)` is 2k already.",
    ),
    reference=sinusoidal_table,
    inputs=table_size,
    cases=(
        {"n": 1, "d": 2},
        {"n": 2, "d": 2},
        {"n": 3, "d": 4},
        {"n": 5, "d": 6},
        {"n": 12, "d": 8},
        {"n": 4, "d": 10},
        {"n": 300, "d": 8},
    ),
    smallest={"d": 2},
    properties=(properties.finite(),),
    mistakes=(
        Mistake(
            "sine and cosine exchanged",
            (
                ("table[:, 0::2] = angle.sin()", "table[:, 0::2] = angle.cos()"),
                ("table[:, 1::2] = angle.cos()", "table[:, 1::2] = angle.sin()"),
            ),
            "Even columns hold the sine, odd ones the cosine: position 0 is 0, 1, 0, 1, ...",
        ),
        Mistake(
            "halves in place of pairs",
            (("table[:, 0::2] =", "table[:, : d // 2] ="), ("table[:, 1::2] =", "table[:, d // 2 :] =")),
            "All sines stand "
            "before all cosines. Several "
            "libraries do so; the paper puts the two of a "
            "frequency side by side.",
        ),
        Mistake(
            "positions from 1",
            (("torch.arange(n)[:, None]", "torch.arange(1, n + 1)[:, None]"),),
            "The first position is 0.",
        ),
        Mistake(
            "the exponent doubled",
            (("torch.arange(0, d, 2) / d", "2 * torch.arange(0, d, 2) / d"),),
            "arange(0, d, 2) is 2k already, and was doubled once more: the waves get too long too soon.",
        ),
        Mistake(
            "the exponent halved",
            (("torch.arange(0, d, 2) / d", "torch.arange(d // 2) / d"),),
            "This is k/d; the exponent is 2k/d. The longest wave comes out far too short.",
        ),
        Mistake(
            "a frequency for each column",
            (
                (
                    "table[:, 1::2] = angle.cos()",
                    "table[:, 1::2] = (position * 10000.0 ** (-torch.arange(1, d, 2) / d)).cos()",
                ),
            ),
            "Sine and cosine of a pair share one frequency; here each column has one of its own.",
        ),
        Mistake(
            "waves too short",
            (("10000.0 ** (-", "10000.0 ** ("),),
            "The minus in the exponent is lost: frequencies grow to 10000.",
        ),
        Mistake("base 1000", (("10000.0", "1000.0"),), "The base is 10000."),
        Mistake(
            "degrees",
            (("angle = position * frequency", "angle = position * frequency * math.pi / 180"),),
            "Angles are in radians.",
        ),
        Mistake(
            "full turns",
            (("angle = position * frequency", "angle = 2 * math.pi * position * frequency"),),
            "There is no 2π in the formula: the shortest wave has the length 2π, not 1.",
        ),
        Mistake(
            "sines only",
            (("table[:, 1::2] = angle.cos()", "table[:, 1::2] = angle.sin()"),),
            "Both columns of a pair hold the sine. With a cosine the pair is a point on a circle, and a shift "
            "is a turn of it.",
        ),
        Mistake(
            "odd columns left empty",
            (("    table[:, 1::2] = angle.cos()\n", ""),),
            "The cosines were never written: odd columns are 0.",
        ),
        Mistake(
            "positions over the length",
            (("position = torch.arange(n)[:, None]", "position = torch.arange(n)[:, None] / n"),),
            "Positions were divided by the length, so the same position differs between texts.",
        ),
        Mistake(
            "the fastest last",
            (
                (
                    "frequency = 10000.0 ** (-torch.arange(0, d, 2) / d)",
                    "frequency = (10000.0 ** (-torch.arange(0, d, 2) / d)).flip(0)",
                ),
            ),
            "The first pair turns fastest, with frequency 1.",
        ),
        Mistake(
            "divided by d - 2",
            (("/ d)", "/ max(d - 2, 1))"),),
            "The exponent is 2k/d, so that the last frequency stays above 1/10000. Some libraries divide by d/2 − 1.",
        ),
    ),
)


# ---- Rotary


def rotary(x, positions):
    d = x.shape[-1]
    frequency = 10000.0 ** (-torch.arange(0, d, 2) / d)
    angle = positions[:, None] * frequency
    first, second = x[..., 0::2], x[..., 1::2]
    turned_first = first * angle.cos() - second * angle.sin()
    turned_second = first * angle.sin() + second * angle.cos()
    return torch.stack([turned_first, turned_second], dim=-1).flatten(-2)


def to_turn(draw, batch, n, d, start, step=1):
    return {"x": draw.normal(batch, n, d), "positions": torch.arange(start, start + step * n, step)}


ROTARY_CASES = (
    {"batch": 1, "n": 1, "d": 2, "start": 1},
    {"batch": 1, "n": 2, "d": 2, "start": 0},
    {"batch": 1, "n": 3, "d": 4, "start": 0},
    {"batch": 2, "n": 3, "d": 6, "start": 5},
    {"batch": 3, "n": 4, "d": 4, "start": 100},
    {"batch": 2, "n": 4, "d": 8, "start": 3, "step": 7},
    {"batch": 4, "n": 4, "d": 4, "start": 2},
)


def _length(call, inputs):
    before, after = inputs["x"].double().norm(dim=-1), call(inputs).double().norm(dim=-1)
    gap = (before - after).abs().max().item()
    return f"the length of a vector changed by {gap:.3g}" if gap > 1e-3 else None


def _shift(call, inputs):
    """Scores of all pairs, here and 9 positions later."""
    here = call(inputs).double()
    later = call({**inputs, "positions": inputs["positions"] + 9}).double()
    gap = (here @ here.mT - later @ later.mT).abs().max().item()
    return f"9 positions later a score differs by {gap:.3g}" if gap > 1e-2 else None


TURNS = (
    properties.Property("length", "A turn changes no vector's length.", _length),
    properties.Property(
        "shift", "Scores depend on the distance of two positions only, not on where the pair stands.", _shift
    ),
)

ROTARY = FunctionExercise(
    name="rotary",
    chapter=9,
    title="Pairs that turn",
    level="Challenge",
    minutes=25,
    statement=r"""
Write rotary positions in the layout of the paper: components $2k$ and $2k + 1$ form a pair, which is turned
counterclockwise by the angle $i \cdot 10000^{-2k/d}$ at position $i$. `x` has the shape `(batch, n, d)`, and
`positions`, `(n,)`, says where each of the `n` vectors stands; it need not begin at 0. Return the turned vectors, in
the shape of `x`.
""",
    hints=(
        "A pair (a, b), turned by t, becomes (a cos t − b sin t, a sin t + b cos t).",
        "`x[..., 0::2]` and `x[..., 1::2]` are the two parts. `torch.stack([...], dim=-1).flatten(-2)` "
        "puts pairs back side by side.",
    ),
    reference=rotary,
    inputs=to_turn,
    cases=ROTARY_CASES,
    smallest={"d": 2, "start": 0},
    properties=TURNS,
    mistakes=(
        Mistake(
            "turned backwards",
            (
                ("first * angle.cos() - second", "first * angle.cos() + second"),
                ("first * angle.sin() + second", "-first * angle.sin() + second"),
            ),
            "The pair turns clockwise. Scores come out the same if queries and keys both do, but the vectors "
            "are others.",
        ),
        Mistake(
            "halves in place of pairs",
            (
                ("x[..., 0::2], x[..., 1::2]", "x[..., : d // 2], x[..., d // 2 :]"),
                (
                    "torch.stack([turned_first, turned_second], dim=-1).flatten(-2)",
                    "torch.cat([turned_first, turned_second], dim=-1)",
                ),
            ),
            "Component i is paired with i + d/2, as in GPT-NeoX, and in Llama in the library Transformers. The paper "
            "pairs neighbors. Weights trained for one layout are wrong in the other.",
        ),
        Mistake(
            "pairs in, halves out",
            (
                (
                    "torch.stack([turned_first, turned_second], dim=-1).flatten(-2)",
                    "torch.cat([turned_first, turned_second], dim=-1)",
                ),
            ),
            "The pairs are turned right but put back as two halves: components change places.",
        ),
        Mistake(
            "halves in, pairs out",
            (("x[..., 0::2], x[..., 1::2]", "x[..., : d // 2], x[..., d // 2 :]"),),
            "Halves are turned and put back as neighbors: components change places.",
        ),
        Mistake(
            "no minus",
            (("first * angle.cos() - second", "first * angle.cos() + second"),),
            "The minus of the rotation is lost: this is no turn, and lengths change.",
        ),
        Mistake(
            "returned unchanged",
            (("return torch.stack([turned_first, turned_second], dim=-1).flatten(-2)", "return x"),),
            "The turned vectors are computed and thrown away.",
        ),
        Mistake(
            "positions from zero",
            (("angle = positions[:, None]", "angle = torch.arange(x.shape[-2])[:, None]"),),
            "The positions are counted from 0 whatever was given. With a cache that is wrong from the second step on.",
        ),
        Mistake(
            "start is used, steps are not",
            (("angle = positions[:, None]", "angle = (positions[0] + torch.arange(x.shape[-2]))[:, None]"),),
            "Only the first position is used; the others are counted on from it.",
        ),
        Mistake(
            "one angle for all pairs",
            (("10000.0 ** (-torch.arange(0, d, 2) / d)", "torch.ones(d // 2)"),),
            "Each pair has a frequency of its own; here all turn as fast as the first.",
        ),
        Mistake(
            "sine and cosine exchanged",
            (
                ("first * angle.cos() - second * angle.sin()", "first * angle.sin() - second * angle.cos()"),
                ("first * angle.sin() + second * angle.cos()", "first * angle.cos() + second * angle.sin()"),
            ),
            "At position 0 a pair must stay as it is: cos 0 = 1 belongs to its own component.",
        ),
        Mistake(
            "the exponent doubled",
            (("torch.arange(0, d, 2) / d", "2 * torch.arange(0, d, 2) / d"),),
            "arange(0, d, 2) is 2k already.",
        ),
        Mistake(
            "the exponent halved",
            (("torch.arange(0, d, 2) / d", "torch.arange(d // 2) / d"),),
            "This is k/d; the exponent is 2k/d.",
        ),
        Mistake(
            "the minus of the exponent",
            (("10000.0 ** (-torch", "10000.0 ** (torch"),),
            "Frequencies grow to 10000; they should fall.",
        ),
        Mistake(
            "added, not turned",
            (
                (
                    "return torch.stack([turned_first, turned_second], dim=-1).flatten(-2)",
                    "return x + torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)",
                ),
            ),
            "Sines and cosines are added to the vectors: those are sinusoidal positions. Rotary ones multiply.",
        ),
        Mistake(
            "multiplied by the cosine alone",
            (
                ("turned_first = first * angle.cos() - second * angle.sin()", "turned_first = first * angle.cos()"),
                ("turned_second = first * angle.sin() + second * angle.cos()", "turned_second = second * angle.cos()"),
            ),
            "The sines are missing: the vectors shrink and do not turn.",
        ),
        Mistake(
            "the second from the first turned",
            (
                (
                    "    turned_second = first * angle.sin()",
                    "    first = turned_first\n    turned_second = first * angle.sin()",
                ),
            ),
            "The first component was overwritten before the second was computed from it.",
        ),
        Mistake("base 1000", (("10000.0", "1000.0"),), "The base is 10000."),
    ),
)


# ---- ALiBi


def alibi_bias(n_heads, n, m):
    slopes = 2.0 ** (-8.0 * torch.arange(1, n_heads + 1) / n_heads)
    query_position = torch.arange(m - n, m)[:, None]
    key_position = torch.arange(m)[None, :]
    distance = (query_position - key_position).abs()
    return -slopes[:, None, None] * distance


def alibi_size(draw, log_heads, n, more):
    return {"n_heads": 2**log_heads, "n": n, "m": n + more}


ALIBI = FunctionExercise(
    name="alibi-bias",
    chapter=9,
    title="A bias against distance",
    level="Practice",
    minutes=15,
    statement=r"""
The listing should make the ALiBi bias, `(n_heads, n, m)`, that is added to the scores: $-m_h \lvert i - j \rvert$
for the query at $i$ and the key at $j$. The slopes are $m_h = 2^{-8h / H}$ for $h = 1, \dots, H$; the number of heads
is a power of 2. There are `n` queries and `m` keys, $n \le m$, and the queries are the *last* `n` positions, as with a
cache. The listing was tested with `n = m`. Mend it.
""",
    given="""
def alibi_bias(n_heads, n, m):
    slopes = 2.0 ** (-8.0 * torch.arange(1, n_heads + 1) / n_heads)
    query_position = torch.arange(n)[:, None]
    key_position = torch.arange(m)[None, :]
    distance = (query_position - key_position).abs()
    return -slopes[:, None, None] * distance
""",
    hints=(
        "Which position has the first query, if the keys are the positions 0 to m − 1?",
        "The queries stand at m − n, ..., m − 1.",
    ),
    reference=alibi_bias,
    inputs=alibi_size,
    cases=(
        {"log_heads": 0, "n": 1, "more": 1},
        {"log_heads": 0, "n": 2, "more": 0},
        {"log_heads": 1, "n": 1, "more": 3},
        {"log_heads": 2, "n": 3, "more": 2},
        {"log_heads": 3, "n": 4, "more": 0},
        {"log_heads": 3, "n": 2, "more": 5},
    ),
    smallest={"log_heads": 0, "more": 0},
    mistakes=(
        Mistake(
            "queries at the start",
            (("torch.arange(m - n, m)", "torch.arange(n)"),),
            "The first query is put at position 0. With a cache the queries are the last positions, and this "
            "biases them away from their neighbors.",
        ),
        Mistake(
            "the sign",
            (("-slopes[:, None, None]", "slopes[:, None, None]"),),
            "Far keys get a bonus. The bias is negative: the farther, the less.",
        ),
        Mistake(
            "without the size",
            ((".abs()", ""),),
            "Keys after the query get a positive bias. Where a causal mask hides them it does not show; here it does.",
        ),
        Mistake("only the past", ((".abs()", ".clamp(min=0)"),), "Keys after the query get no bias at all."),
        Mistake(
            "slopes from 1",
            (("torch.arange(1, n_heads + 1)", "torch.arange(n_heads)"),),
            "The first slope is 2^0 = 1; the paper's sequence starts at 2^(−8/H).",
        ),
        Mistake("slopes without the 8", (("-8.0 *", "-1.0 *"),), "The slopes go down to 2^−8; here they end at 1/2."),
        Mistake(
            "equal steps",
            (("2.0 ** (-8.0 * torch.arange(1, n_heads + 1) / n_heads)", "torch.arange(1, n_heads + 1) / n_heads"),),
            "The slopes form a geometric sequence, not equal steps.",
        ),
        Mistake(
            "slopes not divided by the heads",
            (("torch.arange(1, n_heads + 1) / n_heads", "torch.arange(1, n_heads + 1)"),),
            "The exponent is −8h/H. Without H the slopes vanish from the second head on.",
        ),
        Mistake("the square of the distance", ((".abs()", ".square()"),), "The bias falls in a line, not as a square."),
        Mistake(
            "slopes in reverse",
            (("slopes[:, None, None]", "slopes.flip(0)[:, None, None]"),),
            "The first head has the steepest slope.",
        ),
        Mistake(
            "one slope for all",
            (("-slopes[:, None, None]", "-slopes[:1, None, None].expand(n_heads, 1, 1)"),),
            "Every head has a slope of its own.",
        ),
        Mistake(
            "rows and columns exchanged",
            (("query_position - key_position", "query_position.flip(0) - key_position"),),
            "The queries are in reverse order.",
        ),
        Mistake(
            "one off",
            (("torch.arange(m - n, m)", "torch.arange(m - n + 1, m + 1)"),),
            "Each query stands one place too far: its own key is at distance 0, not 1.",
        ),
        Mistake(
            "keys counted from the end",
            (("key_position = torch.arange(m)[None, :]", "key_position = torch.arange(m).flip(0)[None, :]"),),
            "Key 0 is the oldest, not the newest.",
        ),
        Mistake(
            "the keys moved, not the queries",
            (
                ("torch.arange(m - n, m)", "torch.arange(n)"),
                ("torch.arange(m)[None, :]", "torch.arange(m - n, 2 * m - n)[None, :]"),
            ),
            "The m − n earlier positions belong to the keys: it is the queries that stand m − n places later.",
        ),
    ),
)


# ---- A number and questions


def angle_between():
    """Rotary, d = 4, second pair: positions 37 and 12."""
    return (37 - 12) * 10000 ** (-2 / 4)


ANGLE = NumberExercise(
    name="angle-between-two",
    chapter=9,
    title="The angle between two",
    level="Warm-up",
    minutes=5,
    statement="""
Rotary positions, d = 4. A query stands at position 37, a key at 12. By which angle, in radians, is the *second*
pair of the query turned more than that of the key?
""",
    hints=(
        "The second pair has k = 1, so its frequency is 10000^(−2/4).",
        "The difference of the angles is the difference of the positions times the frequency.",
    ),
    answer=angle_between,
    tolerance=0.001,
    mistakes=(
        WrongNumber("the first pair", lambda: 25, "This is the angle of the first pair, whose frequency is 1."),
        WrongNumber(
            "the query's own angle",
            lambda: 0.37,
            "This is the query's angle. The key is turned too, and only the difference reaches the score.",
        ),
        WrongNumber(
            "the exponent halved", lambda: 25 * 10000 ** (-1 / 4), "The exponent is −2k/d with k = 1: −2/4, not −1/4."
        ),
        WrongNumber(
            "the exponent doubled",
            lambda: 25 * 10000 ** (-4 / 4),
            "The exponent is −2k/d with k = 1: −2/4. The second pair is k = 1, not 2.",
        ),
        WrongNumber(
            "the key's own angle",
            lambda: 0.12,
            "This is the key's angle. The query is turned too, and only the difference reaches the score.",
        ),
        WrongNumber("the sum", lambda: 0.49, "The angles are subtracted, not added."),
        WrongNumber("in degrees", lambda: 0.25 * 180 / math.pi, "This is right, but in degrees."),
    ),
)

ONLY_DISTANCE = ChoiceExercise(
    name="only-the-distance",
    chapter=9,
    title="Only the distance counts",
    level="Warm-up",
    minutes=3,
    statement=(
        "A whole text is moved 100 positions further. For which of these do the attention weights stay "
        "exactly the same?"
    ),
    hints=("Which of them enter the score through i − j only?",),
    choices=(
        Choice(
            "Rotary and ALiBi, but not sinusoidal.",
            "Rotary scores contain i and j only as i − j, and ALiBi's bias is made of it. Sinusoidal vectors "
            "are added to the tokens, and their products with other things depend on where they stand.",
            right=True,
        ),
        Choice(
            "All three.",
            "Two sinusoidal vectors alone have a product that depends on the distance. But they are added to "
            "the tokens, projected, and multiplied with those too.",
        ),
        Choice(
            "Only ALiBi.",
            "Rotary turns queries and keys: both turn further by the same angle, and their product stays.",
        ),
        Choice(
            "None: every position is another vector.",
            "That holds for what is added to the input. Rotary and ALiBi act on pairs.",
        ),
    ),
)

BEYOND = ChoiceExercise(
    name="a-table-that-ends",
    chapter=9,
    title="Longer than in training",
    level="Practice",
    minutes=3,
    statement=(
        "A model with *learned* absolute positions was trained on texts of up to 512 tokens. Now it gets "
        "600. What happens?"
    ),
    hints=("How many rows has the table?",),
    choices=(
        Choice(
            "It fails, or reads rows that were never trained: its table has 512 rows.",
            "A learned table says nothing about rows that it does not have.",
            right=True,
        ),
        Choice(
            "It works, a little worse.",
            "Forms that are computed, such as sinusoidal or rotary, give numbers for position 512, well or "
            "badly used. A table has no row for it.",
        ),
        Choice(
            "It works just as well: positions are added, and addition is learned.",
            "What is learned is each row by itself. Row 512 was never there.",
        ),
        Choice(
            "The positions start again at 0.", "Only if somebody programs it so, and then two tokens share a position."
        ),
    ),
)

EXERCISES = (SINUSOIDAL, ROTARY, ANGLE, ALIBI, ONLY_DISTANCE, BEYOND)
