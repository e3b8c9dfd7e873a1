"""Chapter 1: why attention."""

import math

import torch

from attnbook.exercises import properties
from attnbook.exercises.kinds import Choice, ChoiceExercise, FunctionExercise, Mistake, NumberExercise, WrongNumber

# ---- The gradient of a recurrent network, as a product


def end_to_end(states, W):
    product = torch.eye(len(W))
    for state in states[1:]:
        slope = 1 - state**2
        jacobian = torch.diag(slope) @ W
        product = jacobian @ product
    return product


def some_states(draw, n, d):
    return {"states": draw.normal(n, d).tanh(), "W": draw.normal(d, d)}


PRODUCT = FunctionExercise(
    name="gradient-product",
    chapter=1,
    title="A factor for each step",
    level="Challenge",
    minutes=20,
    statement=r"""
A recurrent network has computed $h_t = \tanh(W h_{t-1} + U x_t)$ for $t = 1, \dots, T$. `states` holds $h_1,
\dots, h_T$ as rows, shape `(T, d)`, and `W` is `(d, d)`. Return the derivative $\partial h_T / \partial h_1$, `(d,
d)`: row $a$, column $b$ says how component $a$ of the last state moves with component $b$ of the first. No
autograd is needed: the derivative of tanh is $1 - h^2$.
""",
    hints=(
        "One step has the derivative diag(1 − h_t²) W, with the state *after* the step. There are T − 1 steps.",
        "The later factors stand to the left.",
    ),
    reference=end_to_end,
    inputs=some_states,
    cases=({"n": 2, "d": 1}, {"n": 1, "d": 2}, {"n": 2, "d": 2}, {"n": 3, "d": 2}, {"n": 4, "d": 3}, {"n": 3, "d": 3}),
    mistakes=(
        Mistake(
            "factors in the wrong order",
            (("jacobian @ product", "product @ jacobian"),),
            "The later steps act "
            "on what the earlier ones "
            "gave: they stand to the left. With numbers the "
            "order does not matter, with matrices it does.",
        ),
        Mistake(
            "no slope",
            (("torch.diag(slope) @ W", "W"),),
            "The derivative of the tanh is missing: this is the product of the matrices alone.",
        ),
        Mistake(
            "no matrix",
            (("torch.diag(slope) @ W", "torch.diag(slope)"),),
            "Between two states stands W as well as the tanh.",
        ),
        Mistake(
            "the slope on the wrong side",
            (("torch.diag(slope) @ W", "W @ torch.diag(slope)"),),
            "The tanh comes after W, so its slope stands to the left of it.",
        ),
        Mistake(
            "the matrix transposed",
            (("torch.diag(slope) @ W", "torch.diag(slope) @ W.T"),),
            "Row a of W makes component a of the next state. No transpose.",
        ),
        Mistake(
            "the state before the step",
            (("for state in states[1:]", "for state in states[:-1]"),),
            "The slope of step t is taken at the state that it gives, h_t, not at the one before.",
        ),
        Mistake(
            "one factor too many",
            (("for state in states[1:]", "for state in states"),),
            "From the first state to the last there are T − 1 steps, not T.",
        ),
        Mistake(
            "one factor too few",
            (("for state in states[1:]", "for state in states[2:]"),),
            "From the first state to the last there are T − 1 steps.",
        ),
        Mistake(
            "the slope of the tanh not squared",
            (("1 - state**2", "1 - state"),),
            "The derivative of tanh is 1 − tanh².",
        ),
        Mistake(
            "the slope of a sigmoid",
            (("1 - state**2", "state * (1 - state)"),),
            "That is the slope of a sigmoid. The derivative of tanh is 1 − tanh².",
        ),
        Mistake("the tanh taken twice", (("1 - state**2", "1 - state.tanh() ** 2"),), "The states are tanhs already."),
        Mistake(
            "a sum for the product",
            (("product = jacobian @ product", "product = jacobian + product"),),
            "The chain rule multiplies the factors.",
        ),
        Mistake(
            "the whole transposed",
            (("return product", "return product.T"),),
            "Rows belong to the last state, columns to the first.",
        ),
        Mistake("the sign of the slope", (("1 - state**2", "state**2 - 1"),), "The slope of the tanh is positive."),
        Mistake(
            "only the last step",
            (("product = jacobian @ product", "product = jacobian"),),
            "Every step has a factor: multiply them.",
        ),
        Mistake(
            "component by component",
            (("jacobian @ product", "jacobian * product"),),
            "This multiplies the matrices entry by entry. A chain of derivatives is a matrix product.",
        ),
    ),
)


# ---- Looking at all, and the listing that looks back only


def look(text):
    d = text.shape[-1]
    similarity = text @ text.mT / math.sqrt(d)
    shares = similarity.softmax(dim=-1)
    return shares @ text


def some_text(draw, n, d, spread=1.0):
    return {"text": draw.normal(n, d, spread=spread)}


def _hull(call, inputs):
    output, text = call(inputs).double(), inputs["text"].double()
    off = (output > text.amax(0) + 1e-3) | (output < text.amin(0) - 1e-3)
    return f"an output has the component {output[off][0].item():.3g}, outside of the text's" if off.any() else None


LOOK = FunctionExercise(
    name="look-at-all",
    chapter=1,
    title="An average that is none",
    level="Practice",
    minutes=10,
    statement=r"""
The listing should let every position look at all positions: compare the rows of `text`, shape `(n, d)`, by dot
products over $\sqrt d$, make shares of each row by a softmax, and return the averages of the rows of `text` with
these shares, `(n, d)`. Its outputs leave the range of the text. Mend it.
""",
    given="""
def look(text):
    d = text.shape[-1]
    similarity = text @ text.mT / math.sqrt(d)
    shares = similarity.softmax(dim=0)
    return shares @ text
""",
    hints=(
        "An average has shares that sum to 1. Which sums are 1 in the listing: those of the rows or those "
        "of the columns?",
        "`shares @ text` averages with the rows of `shares`.",
    ),
    reference=look,
    inputs=some_text,
    cases=(
        {"n": 2, "d": 1},
        {"n": 2, "d": 2},
        {"n": 3, "d": 2},
        {"n": 4, "d": 3},
        {"n": 3, "d": 3},
        {"n": 5, "d": 6},
        {"n": 3, "d": 2, "spread": 30.0},
    ),
    properties=(
        properties.finite(),
        properties.Property("hull", "An output is an average: it lies between the rows of the text.", _hull),
    ),
    mistakes=(
        Mistake(
            "softmax over the queries",
            (("dim=-1)", "dim=0)"),),
            "The columns of the shares sum to 1, but it is the rows that average.",
        ),
        Mistake("no scale", ((" / math.sqrt(d)", ""),), "The root of the size is lost."),
        Mistake("divided by d", (("math.sqrt(d)", "d"),), "Divide by the square root of the size."),
        Mistake(
            "the length for the size",
            (("text.shape[-1]", "text.shape[0]"),),
            "shape[0] is the number of positions; the size is shape[-1].",
        ),
        Mistake("no softmax", (("similarity.softmax(dim=-1)", "similarity"),), "Dot products are no shares."),
        Mistake(
            "divided by the sum",
            (("similarity.softmax(dim=-1)", "similarity / similarity.sum(dim=-1, keepdim=True)"),),
            "Dot products may be negative, and their sum 0. The exponential comes first.",
        ),
        Mistake(
            "only what came before",
            (
                (
                    "similarity.softmax(dim=-1)",
                    "similarity.masked_fill(torch.ones(len(text), len(text)).triu(1) > 0, -torch.inf).softmax(dim=-1)",
                ),
            ),
            "Each position looks back only. Here all look at all.",
        ),
        Mistake(
            "not at itself",
            (
                (
                    "similarity.softmax(dim=-1)",
                    "similarity.masked_fill(torch.eye(len(text)) > 0, -torch.inf).softmax(dim=-1)",
                ),
            ),
            "A position looks at all positions, its own included.",
        ),
        Mistake(
            "the nearest alone",
            (("similarity.softmax(dim=-1)", "(similarity == similarity.amax(dim=-1, keepdim=True)).float()"),),
            "All of the share goes to the largest.",
        ),
        Mistake(
            "equal shares",
            (("similarity.softmax(dim=-1)", "torch.full_like(similarity, 1 / len(text))"),),
            "Every position gets the plain mean, whatever the dot products say.",
        ),
        Mistake(
            "the exponential not divided",
            (("similarity.softmax(dim=-1)", "similarity.exp()"),),
            "The exponentials must be divided by their sum.",
        ),
        Mistake(
            "the text added",
            (("return shares @ text", "return text + shares @ text"),),
            "The average was added to the text. That comes in chapter 10, as a residual connection.",
        ),
        Mistake(
            "softmax over the queries, then the rows divided",
            (
                (
                    "shares = similarity.softmax(dim=-1)",
                    "shares = similarity.softmax(dim=0)\n    shares = shares / shares.sum(dim=-1, keepdim=True)",
                ),
            ),
            "The rows sum to 1 again, but they are not the shares of a softmax along the row.",
        ),
    ),
)


# ---- Numbers and questions


def sequential_steps():
    """512 words; attention: scores, shares, average, each one step; the sums not taken apart."""
    return [512, 3]


STEPS = NumberExercise(
    name="steps-that-wait",
    chapter=1,
    title="Steps that must wait",
    level="Warm-up",
    minutes=5,
    statement="""
A text has 512 words. Count steps that must wait for each other, as the chapter does: each line of a formula is one
step. How many does a recurrent network need for its last state, and how many does one look at all words need? Two
numbers.
""",
    hints=(
        "A recurrent network waits for the state before, at every word.",
        "Scores, shares, average: none of the 512 scores waits for another.",
    ),
    answer=sequential_steps,
    tolerance=0.001,
    mistakes=(
        WrongNumber(
            "pairs counted",
            lambda: [512, 512 * 512],
            "512 · 512 pairs are compared, but none waits for another. They are work, not waiting.",
        ),
        WrongNumber(
            "one step in all",
            lambda: [512, 1],
            "The shares need the scores, and the average needs the shares: three steps.",
        ),
        WrongNumber(
            "both wait",
            lambda: [512, 512],
            "The looks of all positions, and all their scores, can be made at the same time.",
        ),
        WrongNumber("exchanged", lambda: [3, 512], "The recurrent network is the one that waits."),
        WrongNumber(
            "one less",
            lambda: [511, 3],
            "The first word is read too: 512 steps. From the first *state* to the last there are 511.",
        ),
        WrongNumber(
            "rounds of sums",
            lambda: [512, 19],
            "With sums taken apart into rounds it is 1 + 9 + 9 rounds. The chapter's count takes a sum as one step.",
        ),
    ),
)


def _bias(kept, steps):
    """The bias of a sigmoid that keeps the share `kept` over so many steps: s ** steps = kept."""
    gate = kept ** (1 / steps)
    return math.log(gate / (1 - gate))


def bias_that_keeps():
    return _bias(0.9, 200)


BIAS = NumberExercise(
    name="bias-that-keeps",
    chapter=1,
    title="A gate that keeps nine tenths",
    level="Practice",
    minutes=10,
    statement=r"""
A forget gate is $f = \sigma(b)$, the same at every step. Which bias $b$ keeps nine tenths of the cell over 200 steps?
To two decimals; $\sigma(b) = 1 / (1 + e^{-b})$.
""",
    hints=(
        "What must f be, so that f to the power of 200 is 0.9?",
        "f = 0.9^(1/200) = 0.999473; solve σ(b) = f for b.",
    ),
    answer=bias_that_keeps,
    tolerance=0.001,
    mistakes=(
        WrongNumber(
            "nine tenths at each step",
            lambda: _bias(0.9, 1),
            "This keeps nine tenths at *each* step: after 200 steps nothing is left.",
        ),
        WrongNumber(
            "the gate, not its bias",
            lambda: 0.9 ** (1 / 200),
            "This is f. The bias is what the sigmoid turns into it: ln(f / (1 − f)).",
        ),
        WrongNumber("the sign", lambda: -bias_that_keeps(), "A negative bias closes the gate: it forgets."),
        WrongNumber("half is kept", lambda: _bias(0.5, 200), "This keeps half over 200 steps."),
        WrongNumber("nine tenths are lost", lambda: _bias(0.1, 200), "This keeps one tenth over 200 steps."),
        WrongNumber("100 steps", lambda: _bias(0.9, 100), "This keeps nine tenths over 100 steps."),
        WrongNumber(
            "lost in equal parts",
            lambda: math.log(0.9995 / 0.0005),
            "Losing 1/2000 of what is left at each step keeps 90.5%: factors multiply, they do not add.",
        ),
    ),
)

VANISH = ChoiceExercise(
    name="why-it-vanishes",
    chapter=1,
    title="Why the gradient vanishes",
    level="Warm-up",
    minutes=3,
    statement="Why does the gradient of a plain recurrent network usually vanish over 50 steps?",
    hints=("What is 0.7 to the power of 50? And 1 to that power?",),
    choices=(
        Choice(
            "It is a product with a factor for each step, and the factors are usually smaller than 1.",
            "With factors near 1, as a gate can keep them, or in a network of another scale, it need not vanish.",
            right=True,
        ),
        Choice(
            "Because any chain of 50 steps must forget.",
            "A chain whose factors are 1 forgets nothing. It is the factors, not the chain alone.",
        ),
        Choice(
            "Because the words in between overwrite the state.",
            "That is about what is stored. The gradient vanishes even if all words in between are zeros.",
        ),
        Choice(
            "Because tanh is never negative.", "tanh takes both signs. What matters is its slope, which is at most 1."
        ),
    ),
)

SHARED = ChoiceExercise(
    name="gradient-of-a-look",
    chapter=1,
    title="What an average costs",
    level="Practice",
    minutes=3,
    statement=(
        "Before training, how does the gradient from an output of attention to one of n words depend on "
        "that word's distance?"
    ),
    hints=("All n shares sum to 1.",),
    choices=(
        Choice(
            "Not on the distance, but it falls like 1/n: all words share a weight of 1.",
            "How many words there are matters, and not how far away one is.",
            right=True,
        ),
        Choice(
            "It vanishes with the distance, only more slowly than in a recurrent network.",
            "Nothing in the average knows distances: near and far words have the same formula.",
        ),
        Choice("It is 1 for every word.", "Only all words together have a weight of 1."),
        Choice("It grows with the distance.", "Nothing in the average knows distances."),
    ),
)

EXERCISES = (LOOK, PRODUCT, VANISH, BIAS, STEPS, SHARED)
