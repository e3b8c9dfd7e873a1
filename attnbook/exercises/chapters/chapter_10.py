"""Chapter 10: the Transformer."""

import math

import torch

from attnbook.exercises import properties
from attnbook.exercises.kinds import Choice, ChoiceExercise, FunctionExercise, Mistake, NumberExercise, WrongNumber

# ---- Layer norm


def layer_norm(x, gain, shift):
    mean = x.mean(dim=-1, keepdim=True)
    variance = (x - mean).square().mean(dim=-1, keepdim=True)
    normalized = (x - mean) / (variance + 1e-5).sqrt()
    return normalized * gain + shift


def to_norm(draw, batch, n, d, spread, offset):
    return {"x": spread * draw.normal(batch, n, d) + offset, "gain": draw.normal(d) + 1, "shift": draw.normal(d)}


def _moved(inputs):
    return {**inputs, "x": 50 * inputs["x"] + 7}


def same_pattern(call, inputs):
    if not (inputs["x"].double().var(dim=-1, correction=0) > 0.1).all():
        return None
    gap = (call(inputs).double() - call(_moved(inputs)).double()).abs().max().item()
    text = f"all numbers were multiplied by 50 and raised by 7, and the result moved by {gap:.2g}"
    return text if not gap < 5e-3 else None


NORM = FunctionExercise(
    name="layer-norm",
    chapter=10,
    title="Every position for itself",
    level="Practice",
    minutes=15,
    statement=r"""
Write layer norm. `x` has the shape `(batch, n, d)`, `gain` and `shift` `(d,)`. Each position is brought to mean 0
and variance 1 over its own `d` components: the variance is the mean of the squared deviations (divided by $d$, not
by $d - 1$), and $10^{-5}$ is added to it under the root. Then multiply by `gain` and add `shift`, component by
component. Return the shape of `x`.
""",
    hints=(
        "Mean and variance over the last axis, with keepdim=True.",
        "`x.var(dim=-1)` divides by d − 1 unless you say `correction=0`.",
    ),
    reference=layer_norm,
    inputs=to_norm,
    cases=(
        {"batch": 1, "n": 1, "d": 2, "spread": 1.0, "offset": 0.0},
        {"batch": 1, "n": 2, "d": 3, "spread": 1.0, "offset": 2.0},
        {"batch": 2, "n": 3, "d": 4, "spread": 1.0, "offset": 0.0},
        {"batch": 3, "n": 3, "d": 3, "spread": 2.0, "offset": -1.0},
        {"batch": 2, "n": 2, "d": 5, "spread": 0.0, "offset": 3.0},
        {"batch": 2, "n": 2, "d": 4, "spread": 0.004, "offset": 0.0},
        {"batch": 4, "n": 4, "d": 4, "spread": 5.0, "offset": 10.0},
    ),
    smallest={"d": 2},
    properties=(
        properties.finite(),
        properties.Property("scale", "Scale and offset of a position do not matter, only its pattern.", same_pattern),
    ),
    mistakes=(
        Mistake(
            "divided by d - 1",
            (("(x - mean).square().mean(dim=-1, keepdim=True)", "x.var(dim=-1, keepdim=True)"),),
            "var() divides by d − 1, as for a sample. Layer norm divides by d: correction=0.",
        ),
        Mistake(
            "the mean not taken off",
            (("normalized = (x - mean)", "normalized = x"),),
            "The components keep their mean: the result is not centered.",
        ),
        Mistake(
            "the root forgotten",
            (("(variance + 1e-5).sqrt()", "(variance + 1e-5)"),),
            "Divide by the standard deviation, the root of the variance.",
        ),
        Mistake(
            "nothing added under the root",
            (("variance + 1e-5", "variance"),),
            "Where all components are equal the variance is 0, and 0/0 is not a number.",
        ),
        Mistake(
            "added after the root",
            (("(variance + 1e-5).sqrt()", "(variance.sqrt() + 1e-5)"),),
            "The small number stands under the root, added to the variance.",
        ),
        Mistake("a larger small number", (("1e-5", "1e-3"),), "The number under the root is 1e-5."),
        Mistake("a smaller small number", (("1e-5", "1e-8"),), "The number under the root is 1e-5."),
        Mistake(
            "over the positions",
            (("x.mean(dim=-1", "x.mean(dim=-2"), ("square().mean(dim=-1", "square().mean(dim=-2")),
            "Mean and variance were taken over the "
            "positions of a text. A position must not see the others: "
            "over the last axis.",
        ),
        Mistake(
            "over the batch",
            (("x.mean(dim=-1", "x.mean(dim=0"), ("square().mean(dim=-1", "square().mean(dim=0")),
            "Mean and variance were taken over the batch, as in batch norm.",
        ),
        Mistake(
            "one mean for a text",
            (("x.mean(dim=-1", "x.mean(dim=(-2, -1)"), ("square().mean(dim=-1", "square().mean(dim=(-2, -1)")),
            "One mean and one variance for all positions of a text. Each position has its own.",
        ),
        Mistake(
            "one mean for all",
            (
                ("x.mean(dim=-1, keepdim=True)", "x.mean()"),
                ("(x - mean).square().mean(dim=-1, keepdim=True)", "(x - mean).square().mean()"),
            ),
            "One mean and one variance for everything. Each position has its own.",
        ),
        Mistake("no gain", (("normalized * gain + shift", "normalized + shift"),), "The gain is not used."),
        Mistake("no shift", (("normalized * gain + shift", "normalized * gain"),), "The shift is not used."),
        Mistake(
            "the shift before the gain",
            (("normalized * gain + shift", "(normalized + shift) * gain"),),
            "Multiply first, then add.",
        ),
        Mistake(
            "1 added to the gain",
            (("normalized * gain + shift", "normalized * (1 + gain) + shift"),),
            "The gain is used as it is. (Some models store it less 1.)",
        ),
        Mistake(
            "root mean square",
            (("    mean = x.mean(dim=-1, keepdim=True)", "    mean = 0 * x.mean(dim=-1, keepdim=True)"),),
            "This is RMS norm: it divides by the root mean square and takes no mean off.",
        ),
        Mistake(
            "the size of deviations",
            (
                (
                    "(x - mean).square().mean(dim=-1, keepdim=True)",
                    "(x - mean).abs().mean(dim=-1, keepdim=True).square()",
                ),
            ),
            "The variance is the mean of *squares*, not the square of the mean size.",
        ),
    ),
)


# ---- A block with a forgotten sum


def encoder_block(x, W_v, W_1, W_2):
    read = normalize(x)
    weights = (read @ read.mT / math.sqrt(x.shape[-1])).softmax(dim=-1)
    x = x + weights @ read @ W_v
    read = normalize(x)
    return x + (read @ W_1).relu() @ W_2


def normalize(x):
    return torch.nn.functional.layer_norm(x, x.shape[-1:])


def block_inputs(draw, batch, n, d, d_hidden):
    return {
        "x": draw.normal(batch, n, d),
        "W_v": draw.normal(d, d),
        "W_1": draw.normal(d, d_hidden),
        "W_2": draw.normal(d_hidden, d),
    }


BLOCK = FunctionExercise(
    name="encoder-block",
    chapter=10,
    title="A sum forgotten",
    level="Practice",
    minutes=15,
    statement=r"""
The listing should be a small encoder layer with the norm *before* each part (pre-norm): $x \leftarrow x +
\operatorname{attention}(\operatorname{norm}(x))$, then $x \leftarrow x +
\operatorname{feed-forward}(\operatorname{norm}(x))$. Its attention has one head; queries and keys are the
normalized vectors themselves, and the output is `weights @ read @ W_v`. The feed-forward part is $\max(0, y W_1)\,
W_2$. `normalize` is layer norm without gain and shift, and it is right. `x` has the shape `(batch, n, d)`, `W_v`
`(d, d)`, `W_1` `(d, d_hidden)`, `W_2` `(d_hidden, d)`. Two things are wrong. Mend them.
""",
    given="""
def normalize(x):
    return torch.nn.functional.layer_norm(x, x.shape[-1:])


def encoder_block(x, W_v, W_1, W_2):
    x = normalize(x)
    weights = (x @ x.mT / math.sqrt(x.shape[-1])).softmax(dim=-1)
    x = x + weights @ x @ W_v
    read = normalize(x)
    return (read @ W_1).relu() @ W_2
""",
    hints=(
        "What is added to what? In pre-norm, nothing stands on the path of x itself.",
        "The first norm replaces x; and the last line computes a change and adds it to nothing.",
    ),
    reference=encoder_block,
    inputs=block_inputs,
    cases=(
        {"batch": 1, "n": 1, "d": 3, "d_hidden": 2},
        {"batch": 1, "n": 2, "d": 3, "d_hidden": 3},
        {"batch": 2, "n": 3, "d": 4, "d_hidden": 5},
        {"batch": 3, "n": 2, "d": 3, "d_hidden": 6},
        {"batch": 3, "n": 3, "d": 3, "d_hidden": 3},
        {"batch": 2, "n": 5, "d": 6, "d_hidden": 4},
    ),
    smallest={"d": 2},
    properties=(
        properties.finite(),
        properties.equal_to(
            "equivariance",
            "Without positions the layer knows no order: shuffle the text, and the outputs are shuffled along.",
            lambda call, inputs: call({**inputs, "x": inputs["x"].flip(-2)}).flip(-2),
            "the text was put in reverse order, and the outputs back",
        ),
    ),
    mistakes=(
        Mistake(
            "the first sum starts from the norm",
            (("x = x + weights @ read @ W_v", "x = read + weights @ read @ W_v"),),
            "The change was added to the normalized vectors, not to x: the norm stands on the path of x.",
        ),
        Mistake(
            "no second residual",
            (("return x + (read", "return (read"),),
            "The last line gives the change alone; it should be added to x.",
        ),
        Mistake(
            "no first residual",
            (("x = x + weights @ read @ W_v", "x = weights @ read @ W_v"),),
            "Attention replaces x; it should be added to it.",
        ),
        Mistake(
            "the second sum starts from the norm",
            (("return x + (read", "return read + (read"),),
            "The change was added to the normalized vectors, not to x.",
        ),
        Mistake(
            "post-norm",
            (
                ("    read = normalize(x)\n    weights", "    read = x\n    weights"),
                (
                    "    x = x + weights @ "
                    "read @ W_v\n    read = "
                    "normalize(x)\n    return x + (read @ W_1).relu() @ "
                    "W_2",
                    "    x = normalize(x + weights @ read @ W_v)\n "
                    "   read = x\n    return normalize(x + (read @ "
                    "W_1).relu() @ W_2)",
                ),
            ),
            "The norm comes after the sums, as in the paper of 2017. Here it was to come before each part.",
        ),
        Mistake(
            "no norm before attention",
            (("    read = normalize(x)\n    weights", "    read = x\n    weights"),),
            "Attention reads x as it is.",
        ),
        Mistake(
            "no norm before the feed-forward part",
            (("    read = normalize(x)\n    return x", "    read = x\n    return x"),),
            "The feed-forward part reads x as it is.",
        ),
        Mistake(
            "the old vectors read again",
            (("    read = normalize(x)\n    return x", "    return x"),),
            "The feed-forward part reads what attention read, and not what attention made of it.",
        ),
        Mistake(
            "no relu",
            (("(read @ W_1).relu() @ W_2", "(read @ W_1) @ W_2"),),
            "Without the max the two matrices are one.",
        ),
        Mistake(
            "the relu at the end",
            (("(read @ W_1).relu() @ W_2", "(read @ W_1 @ W_2).relu()"),),
            "The max comes between the two matrices. At the end the part could only add what is positive.",
        ),
        Mistake("no scale", ((" / math.sqrt(x.shape[-1])", ""),), "The root of the size is lost."),
        Mistake(
            "softmax over the queries", (("softmax(dim=-1)", "softmax(dim=-2)"),), "Columns sum to 1 in place of rows."
        ),
        Mistake(
            "the values are x",
            (("weights @ read @ W_v", "weights @ x @ W_v"),),
            "What is averaged are the normalized vectors times W_v, not x times W_v.",
        ),
        Mistake(
            "one norm more at the end",
            (("return x + (read @ W_1).relu() @ W_2", "return normalize(x + (read @ W_1).relu() @ W_2)"),),
            "The norm at the end belongs to the whole stack, not to each layer.",
        ),
        Mistake("no W_v", (("weights @ read @ W_v", "weights @ read"),), "W_v is not used."),
        Mistake(
            "causal",
            (
                (
                    ".softmax(dim=-1)",
                    ".masked_fill(torch.ones(x.shape[1], x.shape[1]).triu(1) > 0, -torch.inf).softmax(dim=-1)",
                ),
            ),
            "Each position sees only those before. An encoder sees all.",
        ),
    ),
)


# ---- The learning rate of the paper


def learning_rate(step, d_model, warmup):
    rising = step * warmup**-1.5
    falling = step**-0.5
    return d_model**-0.5 * min(rising, falling)


def a_step(draw, step, d_model, warmup):
    return {"step": step, "d_model": d_model, "warmup": warmup}


RATE = FunctionExercise(
    name="warmup",
    chapter=10,
    title="Up, then down",
    level="Practice",
    minutes=10,
    statement=r"""
Write the learning rate of the Transformer paper: $d_{\text{model}}^{-1/2} \cdot \min(t^{-1/2},\ t \cdot w^{-3/2})$
at step $t = 1, 2, \dots$ with $w$ warm-up steps. All three arguments are whole numbers; return one number.
""",
    hints=("Two curves, one rising in a line, one falling like 1/√t. They meet at t = w.",),
    reference=learning_rate,
    inputs=a_step,
    cases=(
        {"step": 1, "d_model": 4, "warmup": 4},
        {"step": 2, "d_model": 4, "warmup": 4},
        {"step": 4, "d_model": 16, "warmup": 4},
        {"step": 9, "d_model": 16, "warmup": 4},
        {"step": 3, "d_model": 1, "warmup": 10},
        {"step": 100, "d_model": 9, "warmup": 25},
        {"step": 50, "d_model": 2, "warmup": 100},
    ),
    mistakes=(
        Mistake(
            "the larger of the two",
            (("min(rising", "max(rising"),),
            "The smaller of the two counts: at first the "
            "rising line, then the falling curve. The larger "
            "starts at a peak and ends rising for ever.",
        ),
        Mistake("no warm-up", (("min(rising, falling)", "falling"),), "This falls from the first step on."),
        Mistake("no decay", (("min(rising, falling)", "rising"),), "This rises for ever."),
        Mistake("no width", (("d_model**-0.5 * min", "min"),), "The width is not used."),
        Mistake(
            "multiplied by the root of the width",
            (("d_model**-0.5", "d_model**0.5"),),
            "Wider models get a smaller rate.",
        ),
        Mistake("divided by the width", (("d_model**-0.5", "d_model**-1"),), "The root of the width was asked for."),
        Mistake(
            "the warm-up to the power of 1",
            (("warmup**-1.5", "warmup**-1"),),
            "With w^(−1) the two curves do not meet at t = w.",
        ),
        Mistake(
            "the warm-up to the power of a half",
            (("warmup**-1.5", "warmup**-0.5"),),
            "With w^(−1/2) the two curves do not meet at t = w.",
        ),
        Mistake("falls like 1/t", (("step**-0.5", "step**-1.0"),), "It falls like 1/√t."),
        Mistake(
            "one step late",
            (("rising = step *", "step = step + 1\n    rising = step *"),),
            "Steps count from 1 already.",
        ),
        Mistake(
            "stays at the peak",
            (("falling = step**-0.5", "falling = warmup**-0.5"),),
            "After the warm-up the rate must fall.",
        ),
        Mistake(
            "a power before a division",
            (("warmup**-1.5", "warmup**-3 / 2"),),
            "w**-3 / 2 is half of w^(−3). The power −3/2 needs brackets, or −1.5.",
        ),
    ),
)


# ---- A number and questions


def encoder_layer_parameters():
    """d = 64, d_hidden = 256, with biases and two norms."""
    d, d_hidden = 64, 256
    return 4 * (d * d + d) + (d * d_hidden + d_hidden + d_hidden * d + d) + 2 * 2 * d


PARAMETERS = NumberExercise(
    name="encoder-layer-parameters",
    chapter=10,
    title="Count a layer",
    level="Warm-up",
    minutes=10,
    statement="""
How many parameters has one encoder layer with d = 64, 4 heads, and 256 hidden units in the feed-forward part, with
all biases and both norms?
""",
    hints=(
        "Attention: four matrices of 64 by 64 with biases, whatever the heads.",
        "16,640 in the attention, 33,088 in the feed-forward part, 128 in each norm.",
    ),
    answer=encoder_layer_parameters,
    tolerance=0.0001,
    mistakes=(
        WrongNumber(
            "no biases",
            lambda: 4 * 64 * 64 + 2 * 64 * 256 + 256,
            "The biases are missing: 4 · 64 in the attention, 256 + 64 in the feed-forward part.",
        ),
        WrongNumber(
            "no norms", lambda: encoder_layer_parameters() - 256, "Each of the two norms has a gain and a shift of 64."
        ),
        WrongNumber(
            "one norm",
            lambda: encoder_layer_parameters() - 128,
            "An encoder layer has two norms, each with a gain and a shift.",
        ),
        WrongNumber(
            "three projections",
            lambda: encoder_layer_parameters() - 64 * 64 - 64,
            "The output projection is missing: queries, keys, values and output make four.",
        ),
        WrongNumber(
            "once for each head",
            lambda: encoder_layer_parameters() + 3 * (4 * (64 * 64 + 64)),
            "The heads share the width: each has a quarter of the projections.",
        ),
        WrongNumber(
            "a decoder layer",
            lambda: encoder_layer_parameters() + 4 * (64 * 64 + 64) + 128,
            "This has a second attention and a third norm: a decoder layer.",
        ),
        WrongNumber(
            "one matrix in the feed-forward part",
            lambda: encoder_layer_parameters() - 256 * 64 - 64,
            "The feed-forward part has two matrices: up to 256 and back to 64.",
        ),
    ),
)

CROSS = ChoiceExercise(
    name="cross-attention-shapes",
    chapter=10,
    title="Who asks in cross-attention?",
    level="Warm-up",
    minutes=3,
    statement=(
        "The source has 7 symbols, the target 5. What shape have the weights of one head in the decoder's "
        "cross-attention?"
    ),
    hints=("Queries come from what is being written.",),
    choices=(
        Choice(
            "(5, 7): each target position asks all source positions.",
            "Queries come from the target, keys and values from the encoder's result. A row for each query.",
            right=True,
        ),
        Choice(
            "(7, 5): each source position asks the target.",
            "Then the source would look at what is being written. It is the writer who looks at the source.",
        ),
        Choice("(5, 5): the target asks itself.", "That is the decoder's self-attention, its first part."),
        Choice(
            "(12, 12): both together.",
            "That is how a model with one stack would do it, in which source and target are one text.",
        ),
    ),
)

WITHOUT_RESIDUAL = ChoiceExercise(
    name="without-residuals",
    chapter=10,
    title="A stack without sums",
    level="Practice",
    minutes=3,
    statement="The residual connections are left out of a deep stack of fresh layers. What is lost?",
    hints=("What does a softmax over similar scores do to different positions, again and again?",),
    choices=(
        Choice(
            "The difference between positions, and the gradient: both shrink with every layer.",
            "Each attention averages, so positions become "
            "equal; and each derivative is a factor without the "
            "1 in front.",
            right=True,
        ),
        Choice(
            "Nothing but speed.", "The chapter's figure shows positions that are equal to rounding after a few layers."
        ),
        Choice("Only the gradient.", "The positions become equal too, already on the way forward."),
        Choice("The order of the words.", "Order is lost without positions, with or without residual connections."),
    ),
)

EXERCISES = (NORM, BLOCK, WITHOUT_RESIDUAL, CROSS, PARAMETERS, RATE)
