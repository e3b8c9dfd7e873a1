"""Chapter 13: a pretrained encoder."""

import torch

from attnbook.exercises import properties
from attnbook.exercises.kinds import Choice, ChoiceExercise, FunctionExercise, Mistake, NumberExercise, WrongNumber

# ---- The mean of the tokens


def text_vectors(x, mask):
    counted = mask.unsqueeze(-1)
    total = (x * counted).sum(dim=1)
    return total / counted.sum(dim=1)


def to_pool(draw, batch, n, d):
    lengths = draw.integers(1, n + 1, batch)
    lengths[0] = n
    return {"x": draw.normal(batch, n, d) + 0.5, "mask": torch.arange(n) < lengths[:, None]}


def padding_ignored(call, inputs):
    hidden = ~inputs["mask"].unsqueeze(-1)
    moved = {**inputs, "x": torch.where(hidden, 7 - 3 * inputs["x"], inputs["x"])}
    gap = (call(inputs).double() - call(moved).double()).abs().max().item()
    return f"the vectors of the padding were changed, and the result moved by {gap:.2g}" if not gap < 1e-4 else None


POOL = FunctionExercise(
    name="text-vector",
    chapter=13,
    title="One vector for a text",
    level="Practice",
    minutes=10,
    statement=r"""
An encoder gives a vector for each token. `x` has the shape `(batch, n, d)`; `mask` is `(batch, n)`, True for a token
and False for padding, with at least one token in each row. Return one vector for each text, `(batch, d)`: the mean over
its tokens.
""",
    hints=(
        "Set the vectors of the padding to 0 before you add.",
        "Divide by the number of tokens of *that* text, not by n.",
    ),
    reference=text_vectors,
    inputs=to_pool,
    cases=(
        {"batch": 1, "n": 1, "d": 2},
        {"batch": 1, "n": 3, "d": 2},
        {"batch": 2, "n": 3, "d": 3},
        {"batch": 4, "n": 4, "d": 5},
        {"batch": 4, "n": 6, "d": 4},
    ),
    properties=(
        properties.finite(),
        properties.Property("padding", "What stands in the padding must not matter.", padding_ignored),
    ),
    mistakes=(
        Mistake(
            "padding is averaged too",
            (("mask.unsqueeze(-1)", "torch.ones_like(mask).unsqueeze(-1)"),),
            "The vectors of the padding are in the mean. The same text gets another vector in another batch.",
        ),
        Mistake(
            "the padding for the tokens",
            (("mask.unsqueeze(-1)", "(~mask).unsqueeze(-1)"),),
            "The mask is read the wrong way round: only the padding is averaged.",
        ),
        Mistake(
            "divided by the longest",
            (("return total / counted.sum(dim=1)", "return total / x.shape[1]"),),
            "Each text is divided by n, the length of the longest. Short texts get short vectors.",
        ),
        Mistake(
            "the sum",
            (("return total / counted.sum(dim=1)", "return total"),),
            "The vectors are added and not divided: long texts get long vectors.",
        ),
        Mistake(
            "divided by all tokens of the batch",
            (("return total / counted.sum(dim=1)", "return total / counted.sum()"),),
            "Every text is divided by the number of tokens in the whole batch. Each has a number of its own.",
        ),
        Mistake(
            "brought to length 1",
            (("return total / counted.sum(dim=1)", "return total / total.norm(dim=-1, keepdim=True)"),),
            "That is the direction of the mean. The mean itself was asked for.",
        ),
        Mistake(
            "the first token alone",
            (("return total / counted.sum(dim=1)", "return x[:, 0]"),),
            "That is the vector of [CLS]. The mean of all tokens was asked for.",
        ),
        Mistake(
            "the largest of each component",
            (
                (
                    "return total / counted.sum(dim=1)",
                    "return x.masked_fill(~mask.unsqueeze(-1), -torch.inf).amax(dim=1)",
                ),
            ),
            "This is max pooling.",
        ),
        Mistake(
            "the mean over the batch",
            (
                ("(x * counted).sum(dim=1)", "(x * counted).sum(dim=0)"),
                ("counted.sum(dim=1)", "counted.sum(dim=0)"),
            ),
            "Axis 0 is the batch: different texts were mixed.",
        ),
    ),
)

# ---- Attention pooling


def pool_by_attention(x, mask, W, v):
    scores = (x @ W).tanh() @ v
    scores = scores.masked_fill(~mask, -torch.inf)
    weights = scores.softmax(dim=-1)
    return (weights.unsqueeze(-1) * x).sum(dim=1)


def to_attend(draw, batch, n, d, hidden):
    inputs = to_pool(draw, batch, n, d)
    return {**inputs, "W": draw.normal(d, hidden), "v": draw.normal(hidden, spread=2.0)}


ATTEND = FunctionExercise(
    name="attention-pooling",
    chapter=13,
    title="A learned question for every text",
    level="Practice",
    minutes=15,
    statement=r"""
Attention pooling asks every text the same learned question. `x` is `(batch, n, d)`, `mask` `(batch, n)`, True for a
token, `W` `(d, h)`, `v` `(h,)`. The score of token $j$ is $\tanh(x_j W) \cdot v$; the weights are its softmax over the
tokens of the text; padding gets weight 0. Return the weighted average of the vectors, `(batch, d)`.
""",
    hints=(
        "The score is one number a token: `(batch, n)`.",
        "Padding leaves the softmax with a score of minus infinity.",
    ),
    reference=pool_by_attention,
    inputs=to_attend,
    cases=(
        {"batch": 1, "n": 1, "d": 2, "hidden": 1},
        {"batch": 1, "n": 3, "d": 2, "hidden": 2},
        {"batch": 2, "n": 3, "d": 3, "hidden": 2},
        {"batch": 3, "n": 5, "d": 4, "hidden": 3},
        {"batch": 4, "n": 4, "d": 5, "hidden": 6},
    ),
    properties=(
        properties.finite(),
        properties.Property("padding", "What stands in the padding must not matter.", padding_ignored),
    ),
    mistakes=(
        Mistake(
            "padding takes part",
            (("scores.masked_fill(~mask, -torch.inf)", "scores"),),
            "The padding gets weight. The result depends on how long the other texts of the batch are.",
        ),
        Mistake(
            "padding scores 0",
            (("-torch.inf", "0.0"),),
            "A score of 0 is an ordinary score: its exponential is 1. Minus infinity shuts out.",
        ),
        Mistake(
            "set to 0 after the softmax",
            (
                ("scores = scores.masked_fill(~mask, -torch.inf)\n", "\n"),
                ("scores.softmax(dim=-1)", "scores.softmax(dim=-1) * mask"),
            ),
            "The weights of the tokens do not sum to 1: the padding keeps its share of the sum.",
        ),
        Mistake(
            "upside down",
            (("masked_fill(~mask", "masked_fill(mask"),),
            "The tokens are shut out and the padding is read.",
        ),
        Mistake(
            "softmax over the batch",
            (("scores.softmax(dim=-1)", "scores.softmax(dim=0).nan_to_num(0.0)"),),
            "The texts of the batch compete with each other. A text's weights must sum to 1.",
        ),
        Mistake(
            "no tanh",
            (("(x @ W).tanh() @ v", "(x @ W) @ v"),),
            "Without the tanh, W and v are one linear score.",
        ),
        Mistake(
            "the tanh at the end",
            (("(x @ W).tanh() @ v", "((x @ W) @ v).tanh()"),),
            "The tanh acts on each hidden component, before the product with v.",
        ),
        Mistake(
            "scaled",
            (("(x @ W).tanh() @ v", "(x @ W).tanh() @ v / x.shape[-1] ** 0.5"),),
            "The additive score has no scale.",
        ),
        Mistake(
            "equal weights",
            (("scores.softmax(dim=-1)", "(mask / mask.sum(dim=-1, keepdim=True))"),),
            "This is the mean: the scores are not used.",
        ),
        Mistake(
            "the best token alone",
            (
                (
                    "scores.softmax(dim=-1)",
                    "(scores == scores.amax(dim=-1, keepdim=True)).to(x.dtype)",
                ),
            ),
            "All weight went to the token with the largest score.",
        ),
    ),
)

# ---- Search


def nearest(question, passages, k):
    lengths = passages.norm(dim=-1)
    alike = passages @ question / lengths
    return alike.topk(k).indices


def to_search(draw, m, d, k):
    question = draw.normal(d) + 0.2
    passages = draw.normal(m, d) * (1 + draw.integers(0, 5, m, 1)) + 0.05
    return {"question": question, "passages": passages, "k": k}


SEARCH = FunctionExercise(
    name="nearest-passages",
    chapter=13,
    title="Search by meaning",
    level="Warm-up",
    minutes=10,
    statement=r"""
`question` is a vector `(d,)`, `passages` holds a vector in each row, `(m, d)`. Neither has length 1. Return the numbers
of the `k` passages whose *cosine* with the question is largest, the largest first: whole numbers of shape `(k,)`.
""",
    hints=(
        "The cosine is the dot product divided by both lengths. One of the two is the same for all passages.",
        "`topk` sorts, and has `.indices`.",
    ),
    reference=nearest,
    inputs=to_search,
    cases=(
        {"m": 2, "d": 2, "k": 1},
        {"m": 3, "d": 2, "k": 1},
        {"m": 4, "d": 3, "k": 2},
        {"m": 6, "d": 4, "k": 3},
        {"m": 8, "d": 3, "k": 8},
        {"m": 9, "d": 5, "k": 4},
    ),
    smallest={"m": 2, "d": 2},
    mistakes=(
        Mistake(
            "the dot product",
            (("passages @ question / lengths", "passages @ question"),),
            "Long vectors win whatever they say: divide each row by its own length.",
        ),
        Mistake(
            "the least alike",
            (("alike.topk(k)", "alike.topk(k, largest=False)"),),
            "These are the passages that are farthest away.",
        ),
        Mistake(
            "the nearest last",
            (("alike.topk(k).indices", "alike.topk(k).indices.flip(0)"),),
            "The order is reversed: the nearest comes first.",
        ),
        Mistake(
            "by distance, lengths and all",
            (("passages @ question / lengths", "-(passages - question).norm(dim=-1)"),),
            "Distances between vectors of unequal length compare lengths too.",
        ),
        Mistake(
            "the columns brought to length 1",
            (
                ("lengths = passages.norm(dim=-1)", "passages = passages / passages.norm(dim=0)"),
                ("passages @ question / lengths", "passages @ question"),
            ),
            "Each component was divided by its length over all passages. A passage is a row.",
        ),
        Mistake(
            "opposite is near",
            (("passages @ question / lengths", "(passages @ question / lengths).abs()"),),
            "A cosine of −1 means the opposite direction. The absolute value makes it a twin.",
        ),
    ),
)

# ---- Numbers


def tables():
    layers, heads, tokens = 6, 12, 16
    return [layers * heads, layers * heads * tokens**2]


TABLES = NumberExercise(
    name="how-many-tables",
    chapter=13,
    title="How many pictures to pick from",
    level="Warm-up",
    minutes=5,
    statement="""
MiniLM has 6 layers with 12 heads each. For a sentence of 16 tokens, how many tables of weights does it compute, and how
many weights are in them together? Give both numbers.
""",
    hints=("A table has a row for each token and a column for each token.",),
    answer=tables,
    mistakes=(
        WrongNumber("one layer", lambda: [12, 12 * 256], "Each of the six layers has twelve heads."),
        WrongNumber("one row a table", lambda: [72, 72 * 16], "Every token reads: 16 rows of 16 weights."),
        WrongNumber("layers and heads added", lambda: [18, 18 * 256], "Each layer has 12 heads of its own: multiply."),
        WrongNumber("below the diagonal", lambda: [72, 72 * 136], "An encoder has no causal mask: all see all."),
        WrongNumber(
            "weights of the model", lambda: [72, 6 * 4 * 384**2], "The weights of attention, not the parameters."
        ),
    ),
)

# ---- Choices

IT = ChoiceExercise(
    name="picked-head",
    chapter=13,
    title="One head of 72",
    level="Practice",
    minutes=5,
    statement="""
In one of a model's 72 heads the word *it* puts most of its weight on *animal*. What may you conclude?
""",
    hints=("How would the picture look if you searched 72 random tables for a large number?",),
    choices=(
        Choice(
            "That head reads *animal* at *it* in this sentence. What the model does with it, and whether it means "
            "reference, needs other tests.",
            "For example: change the sentence so that *it* is the street, and see whether the head follows.",
            right=True,
        ),
        Choice("The model knows that *it* is the animal.", "One head of 72, picked because it shows it, is no proof."),
        Choice(
            "Nothing: weights are arbitrary.",
            "They are what was averaged in that head. They say something, only less than the picture suggests.",
        ),
        Choice(
            "All heads together look at *animal*.",
            "The mean over all heads has a small weight there; half of all weight goes to two marker tokens.",
        ),
    ),
)

NEGATION = ChoiceExercise(
    name="near-and-opposite",
    chapter=13,
    title="Near and opposite",
    level="Warm-up",
    minutes=3,
    statement="""
*I like this hotel.* and *I do not like this hotel.* have vectors with a large cosine. Why is that not a fault of the
program?
""",
    hints=("What makes two sentences neighbors in training?",),
    choices=(
        Choice(
            "The vectors were trained to say what a sentence is *about*; both are about liking this hotel.",
            "A cosine measures nearness of topic and wording. For opinions, train for opinions.",
            right=True,
        ),
        Choice("The mean forgets the word *not*.", "The other words' vectors know it too: each has read the whole."),
        Choice("Cosines cannot be negative.", "They can. These vectors happen to have few that are."),
        Choice("The word *not* is padding.", "It is a token like the others."),
    ),
)

EXERCISES = (POOL, SEARCH, NEGATION, TABLES, IT, ATTEND)
