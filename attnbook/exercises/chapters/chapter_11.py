"""Chapter 11: sequences to sequences."""

import math  # noqa: F401  (for the edits of mistakes)

import torch

from attnbook.exercises import properties
from attnbook.exercises.kinds import Choice, ChoiceExercise, FunctionExercise, Mistake, NumberExercise, WrongNumber

# ---- Bahdanau's context, with padding


def context_vector(state, annotations, W_q, W_k, v, lengths):
    features = (state @ W_q)[:, None] + annotations @ W_k
    scores = features.tanh() @ v
    real = torch.arange(annotations.shape[1]) < lengths[:, None]
    weights = scores.masked_fill(~real, -torch.inf).softmax(dim=-1)
    return (weights[:, None] @ annotations)[:, 0], weights


def decoder_step(draw, batch, m, d_s, d_h, d_a):
    lengths = draw.integers(1, m + 1, batch)
    lengths[0] = m
    return {
        "state": draw.normal(batch, d_s),
        "annotations": draw.normal(batch, m, d_h),
        "W_q": draw.normal(d_s, d_a),
        "W_k": draw.normal(d_h, d_a),
        "v": draw.normal(d_a),
        "lengths": lengths,
    }


def _padded(inputs):
    return torch.arange(inputs["annotations"].shape[1]) >= inputs["lengths"][:, None]


def _other_padding(inputs):
    closed = _padded(inputs)
    if not closed.any():
        return None
    return {**inputs, "annotations": torch.where(closed[..., None], inputs["annotations"] + 4.0, inputs["annotations"])}


CONTEXT = FunctionExercise(
    name="context-vector",
    chapter=11,
    title="Where the decoder looks",
    level="Challenge",
    minutes=20,
    statement=r"""
Write the attention of Bahdanau's decoder for one step. The score of annotation $h_j$ is $v \cdot \tanh(s W_q + h_j
W_k)$. `state` $s$ has the shape `(batch, d_s)`, `annotations` `(batch, m, d_h)`, `W_q` `(d_s, d_a)`, `W_k` `(d_h,
d_a)`, `v` `(d_a,)`. Of source number $b$ only the first `lengths[b]` annotations are real; the others are padding
and must get the weight 0. Return the context, `(batch, d_h)`, and the weights, `(batch, m)`.
""",
    hints=(
        "The state is one vector for each source, the annotations are m: give the state an axis for them.",
        "`torch.arange(m) < lengths[:, None]` is True where an annotation is real. Closed scores become "
        "−∞ before the softmax.",
    ),
    reference=context_vector,
    inputs=decoder_step,
    cases=(
        {"batch": 1, "m": 1, "d_s": 2, "d_h": 2, "d_a": 2},
        {"batch": 1, "m": 3, "d_s": 2, "d_h": 2, "d_a": 2},
        {"batch": 2, "m": 3, "d_s": 2, "d_h": 3, "d_a": 2},
        {"batch": 3, "m": 5, "d_s": 4, "d_h": 2, "d_a": 3},
        {"batch": 4, "m": 4, "d_s": 4, "d_h": 4, "d_a": 4},
        {"batch": 3, "m": 6, "d_s": 3, "d_h": 5, "d_a": 2},
    ),
    properties=(
        properties.finite(),
        properties.rows_sum_to_one(1),
        properties.unchanged(
            "padding", "What is padding has no effect.", _other_padding, "the padded annotations were changed"
        ),
    ),
    mistakes=(
        Mistake(
            "padding is read",
            (("scores.masked_fill(~real, -torch.inf)", "scores"),),
            "The lengths are not "
            "used: padding gets weight, "
            "and an answer depends on how long its neighbors "
            "in the batch are.",
        ),
        Mistake(
            "the mask reversed",
            (("masked_fill(~real", "masked_fill(real"),),
            "The real annotations are closed, and the padding is read.",
        ),
        Mistake(
            "scores multiplied by 0",
            (("scores.masked_fill(~real, -torch.inf)", "(scores * real)"),),
            "A score of 0 has the exponential 1: padding still gets a share.",
        ),
        Mistake(
            "the mask after the softmax",
            (("scores.masked_fill(~real, -torch.inf).softmax(dim=-1)", "scores.softmax(dim=-1) * real"),),
            "The weights of what is real no longer sum to 1.",
        ),
        Mistake(
            "one too many",
            (("< lengths", "<= lengths"),),
            "One annotation of padding is left open: positions count from 0.",
        ),
        Mistake(
            "one too few", (("< lengths[:, None]", "< lengths[:, None] - 1"),), "The last real annotation is closed."
        ),
        Mistake(
            "no tanh",
            (("features.tanh() @ v", "features @ v"),),
            "Without the tanh the state adds the same number to all scores, and the weights do not depend on it.",
        ),
        Mistake(
            "the tanh at the end",
            (("features.tanh() @ v", "(features @ v).tanh()"),),
            "The tanh comes before the product with v, for each feature. At the end, scores cannot leave −1 to 1.",
        ),
        Mistake(
            "the state is not used",
            (("(state @ W_q)[:, None] + annotations @ W_k", "annotations @ W_k"),),
            "The scores do not depend on what was written so far: the decoder looks at the same place at each "
            "step. A tanh for each of the two, before they are added, has the same effect.",
        ),
        Mistake(
            "the annotations are not scored",
            (("(state @ W_q)[:, None] + annotations @ W_k", "(state @ W_q)[:, None] + 0 * annotations @ W_k"),),
            "All annotations get the same score: the context is their mean.",
        ),
        Mistake(
            "multiplied, not added",
            (("[:, None] + annotations", "[:, None] * (annotations"), ("@ W_k\n", "@ W_k)\n")),
            "The additive score adds the two projections before the tanh.",
        ),
        Mistake(
            "the projected annotations averaged",
            (("(weights[:, None] @ annotations)[:, 0]", "(weights[:, None] @ (annotations @ W_k))[:, 0]"),),
            "The context is the average of the annotations themselves.",
        ),
        Mistake(
            "scaled",
            (("features.tanh() @ v", "features.tanh() @ v / math.sqrt(v.shape[0])"),),
            "The additive score has no scale: the tanh keeps each feature between −1 and 1.",
        ),
        Mistake(
            "softmax over the batch",
            (("softmax(dim=-1)", "softmax(dim=0)"),),
            "Sources that do not know each other share weight.",
        ),
        Mistake(
            "the sum of the annotations",
            (("(weights[:, None] @ annotations)[:, 0]", "(weights[:, None] @ annotations)[:, 0] * lengths[:, None]"),),
            "The context was multiplied by the length. The weights sum to 1: their sum is the average.",
        ),
    ),
)


# ---- Teacher forcing


def teacher_forcing(target, begin, end):
    first = torch.full_like(target[:, :1], begin)
    last = torch.full_like(target[:, :1], end)
    target_in = torch.cat([first, target], dim=1)
    target_out = torch.cat([target, last], dim=1)
    return target_in, target_out


def answers(draw, batch, n):
    return {"target": draw.integers(4, 30, batch, n), "begin": 1, "end": 2}


SHIFT = FunctionExercise(
    name="teacher-forcing",
    chapter=11,
    title="Read one late",
    level="Practice",
    minutes=10,
    statement="""
In training, the decoder reads the right answer one symbol late: at each step it sees the symbols before the one
that it must write. The listing makes what the decoder reads and what it must write, and a model trained with it
reaches a loss of 0 and writes nonsense. `target` has the shape `(batch, n)` and holds no begin or end symbol; both
results have `(batch, n + 1)`. The first thing read is `begin`, the last thing to write is `end`. Mend it.
""",
    given="""
def teacher_forcing(target, begin, end):
    last = torch.full_like(target[:, :1], end)
    target_in = torch.cat([target, last], dim=1)
    target_out = torch.cat([target, last], dim=1)
    return target_in, target_out
""",
    hints=(
        "In the listing, what does the decoder see at the step at which it must write symbol 3?",
        "What is read starts with `begin` and does not need `end`; what is written ends with `end` and "
        "does not need `begin`.",
    ),
    reference=teacher_forcing,
    inputs=answers,
    cases=(
        {"batch": 1, "n": 1},
        {"batch": 1, "n": 3},
        {"batch": 2, "n": 2},
        {"batch": 3, "n": 5},
        {"batch": 4, "n": 4},
    ),
    mistakes=(
        Mistake(
            "not shifted",
            (("torch.cat([first, target], dim=1)", "torch.cat([target, last], dim=1)"),),
            "At each step the decoder reads the very symbol that it must write. It learns to copy, and has "
            "nothing to copy from when it writes alone.",
        ),
        Mistake(
            "shifted the wrong way",
            (
                ("target_in = torch.cat([first, target], dim=1)", "target_in = torch.cat([target, last], dim=1)"),
                ("target_out = torch.cat([target, last], dim=1)", "target_out = torch.cat([first, target], dim=1)"),
            ),
            "The decoder reads the symbol after the one that it must write.",
        ),
        Mistake(
            "shifted twice",
            (("torch.cat([first, target], dim=1)", "torch.cat([first, first, target[:, :-1]], dim=1)"),),
            "What is read is two symbols late: the decoder never sees the symbol right before the next.",
        ),
        Mistake(
            "no begin",
            (("torch.cat([first, target], dim=1)", "torch.cat([target[:, :1], target], dim=1)"),),
            "The first symbol of the answer stands where begin should: it is given away.",
        ),
        Mistake(
            "no end",
            (("torch.cat([target, last], dim=1)", "torch.cat([target, target[:, -1:]], dim=1)"),),
            "Without an end symbol the decoder never learns to stop.",
        ),
        Mistake(
            "begin and end exchanged",
            (
                ("first = torch.full_like(target[:, :1], begin)", "first = torch.full_like(target[:, :1], end)"),
                ("last = torch.full_like(target[:, :1], end)", "last = torch.full_like(target[:, :1], begin)"),
            ),
            "Reading starts with begin, writing ends with end.",
        ),
        Mistake(
            "begin for end",
            (("last = torch.full_like(target[:, :1], end)", "last = torch.full_like(target[:, :1], begin)"),),
            "The last thing to write is end.",
        ),
        Mistake(
            "end for begin",
            (("first = torch.full_like(target[:, :1], begin)", "first = torch.full_like(target[:, :1], end)"),),
            "The first thing to read is begin.",
        ),
        Mistake(
            "both have both",
            (
                (
                    "target_in = torch.cat([first, target], dim=1)",
                    "target_in = torch.cat([first, target, last], dim=1)",
                ),
                (
                    "target_out = torch.cat([target, last], dim=1)",
                    "target_out = torch.cat([first, target, last], dim=1)",
                ),
            ),
            "Both hold begin, answer and end: nothing is shifted, and both are one too long.",
        ),
        Mistake(
            "the batch is shifted",
            (("torch.cat([first, target], dim=1)", "torch.cat([first, target.roll(1, dims=0)], dim=1)"),),
            "Each source gets the answer of its neighbor to read.",
        ),
        Mistake(
            "the last symbol dropped",
            (
                ("torch.cat([first, target], dim=1)", "torch.cat([first, target[:, :-1]], dim=1)"),
                ("torch.cat([target, last], dim=1)", "torch.cat([target[:, 1:], last], dim=1)"),
            ),
            "Symbols are dropped at the ends. Reading takes begin and the whole answer, writing the whole "
            "answer and end.",
        ),
    ),
)


# ---- A loss that leaves padding out


def masked_loss(logits, target, pad):
    log_probabilities = logits.log_softmax(dim=-1)
    right = log_probabilities.gather(-1, target[..., None])[..., 0]
    real = target != pad
    return -(right * real).sum() / real.sum()


def logits_and_target(draw, batch, n, symbols, padded=True):
    target = draw.integers(1, symbols, batch, n)
    if padded:
        for b in range(1, batch):
            target[b, max(1, n - b) :] = 0
    return {"logits": draw.normal(batch, n, symbols, spread=2.0), "target": target, "pad": 0}


LOSS = FunctionExercise(
    name="masked-loss",
    chapter=11,
    title="A loss that leaves padding out",
    level="Practice",
    minutes=15,
    statement="""
Write the mean cross-entropy of a batch of answers. `logits` has the shape `(batch, n, symbols)`, `target` `(batch,
n)` holds the numbers of the right symbols, and `pad` marks places that are no part of an answer. Every real symbol
of the batch counts the same; padding counts nothing. Use natural logarithms. Return one number.
""",
    hints=(
        "The loss of a symbol is minus the logarithm of the probability given to it.",
        "Divide the sum by the number of real symbols, not by the number of places.",
    ),
    reference=masked_loss,
    inputs=logits_and_target,
    cases=(
        {"batch": 1, "n": 1, "symbols": 3},
        {"batch": 1, "n": 3, "symbols": 3},
        {"batch": 2, "n": 3, "symbols": 4},
        {"batch": 3, "n": 5, "symbols": 5},
        {"batch": 4, "n": 4, "symbols": 4},
        {"batch": 3, "n": 4, "symbols": 6, "padded": False},
    ),
    smallest={"symbols": 2},
    properties=(properties.finite(),),
    mistakes=(
        Mistake(
            "padding counts",
            (("real = target != pad", "real = torch.ones_like(target)"),),
            "Padding is learned as if it were a symbol, and easy symbols make the loss look small.",
        ),
        Mistake(
            "divided by all places",
            (("/ real.sum()", "/ target.numel()"),),
            "Padding adds nothing above the line, but counts below it: the more padding, the smaller the loss.",
        ),
        Mistake("not divided", ((" / real.sum()", ""),), "This is the sum. A larger batch would have a larger loss."),
        Mistake("only padding counts", (("target != pad", "target == pad"),), "The mask is reversed."),
        Mistake(
            "the sign",
            (("return -(right", "return (right"),),
            "The logarithm of a probability is negative; the loss is minus that.",
        ),
        Mistake(
            "the mean of the answers' means",
            (("return -(right * real).sum() / real.sum()", "return -((right * real).sum(1) / real.sum(1)).mean()"),),
            "Each answer counts the same here, so a symbol of a short answer counts more. Every symbol should "
            "count the same.",
        ),
        Mistake(
            "divided by the batch",
            (("/ real.sum()", "/ len(target)"),),
            "This is the loss of an answer, not of a symbol.",
        ),
        Mistake(
            "divided by the length",
            (("/ real.sum()", "/ target.shape[1]"),),
            "Divide by the number of real symbols in the whole batch.",
        ),
        Mistake(
            "base 2",
            (("/ real.sum()", "/ real.sum() / math.log(2)"),),
            "These are bits. Natural logarithms were asked for.",
        ),
        Mistake(
            "no softmax",
            (("logits.log_softmax(dim=-1)", "logits"),),
            "Logits are not logarithms of probabilities until the logarithm of their sum of exponentials is taken off.",
        ),
        Mistake(
            "softmax twice",
            (("logits.log_softmax(dim=-1)", "logits.softmax(dim=-1).log_softmax(dim=-1)"),),
            "A softmax was taken before the log-softmax, as when probabilities are given to cross_entropy. "
            "The loss can never get near 0.",
        ),
        Mistake(
            "the probability, not its logarithm",
            (("logits.log_softmax(dim=-1)", "logits.softmax(dim=-1)"),),
            "The logarithm is missing.",
        ),
        Mistake(
            "softmax along the answer",
            (("log_softmax(dim=-1)", "log_softmax(dim=1)"),),
            "The probabilities of the symbols of one place sum to 1: the last axis.",
        ),
        Mistake(
            "perplexity",
            (("return -(right * real).sum() / real.sum()", "return (-(right * real).sum() / real.sum()).exp()"),),
            "This is the exponential of the loss, called perplexity.",
        ),
    ),
)


# ---- A number and questions


def edits(one, other):
    """The smallest number of insertions, deletions and replacements that turn one list into the other."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row = row, [i]
        for j, b in enumerate(other, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b)))
    return row[-1]


def phoneme_error_rate():
    pairs = [("N AY T", "K N AY T"), ("F OW N", "F OW N IY"), ("W IH M AH N", "W OW M AH N")]
    wrong = sum(edits(right.split(), said.split()) for right, said in pairs)
    return 100 * wrong / sum(len(right.split()) for right, _ in pairs)


RATE = NumberExercise(
    name="phoneme-error-rate",
    chapter=11,
    title="Three words, their errors",
    level="Warm-up",
    minutes=10,
    statement="""
Three words. Right: *N AY T*, *F OW N*, *W IH M AH N*. Said: *K N AY T*, *F OW N IY*, *W OW M AH N*. What is the
phoneme error rate, in percent: all insertions, deletions and replacements together, over the number of right
phonemes?
""",
    hints=("Each word needs one edit.", "There are 3 + 3 + 5 right phonemes."),
    answer=phoneme_error_rate,
    tolerance=0.005,
    mistakes=(
        WrongNumber(
            "words", lambda: 100, "This is the word error rate: no word is right. Phonemes are counted one by one."
        ),
        WrongNumber(
            "over what was said",
            lambda: 100 * 3 / 13,
            "The number below the line is that of the *right* phonemes, 11; 13 were said.",
        ),
        WrongNumber(
            "the mean of the words' rates",
            lambda: 100 * (1 / 3 + 1 / 3 + 1 / 5) / 3,
            "Each word's rate was computed and averaged. Errors and phonemes are added up over all words.",
        ),
        WrongNumber(
            "place by place",
            lambda: 100 * (3 + 0 + 1) / 11,
            "Compared place by place, one inserted sound makes all after it wrong. An insertion is one edit.",
        ),
        WrongNumber(
            "insertions left out", lambda: 100 / 11, "Only the replacement was counted. Insertions are errors too."
        ),
        WrongNumber("the share that is right", lambda: 100 * 8 / 11, "This is the share without errors."),
        WrongNumber("a fraction", lambda: 3 / 11, "This is right as a fraction; give it in percent."),
    ),
)

BOTTLENECK = ChoiceExercise(
    name="one-vector",
    chapter=11,
    title="Through one vector",
    level="Warm-up",
    minutes=3,
    statement=(
        "Without attention, the decoder gets the encoder's last state and nothing else. Where does that hurt most?"
    ),
    hints=("How large is the vector for a word of 4 letters, and of 14?",),
    choices=(
        Choice(
            "On long inputs: all of it must get through a vector of the same size, and training is slow to find how.",
            "With attention the decoder reads a vector for each letter: what is available grows with the input.",
            right=True,
        ),
        Choice(
            "On short inputs, where there is little to learn from.",
            "On short words both models of the chapter's figure are close.",
        ),
        Choice(
            "On the first symbol of the answer.",
            "The last state is fresh there. What suffers is what was read or is written long after.",
        ),
        Choice(
            "In speed: attention is faster.",
            "Attention adds work at every step. What it buys is what can be reached, not time.",
        ),
    ),
)

SOFT = ChoiceExercise(
    name="what-weights-show",
    chapter=11,
    title="What the map shows",
    level="Practice",
    minutes=3,
    statement="The weights of *ph* → F lie 0.6 on *p* and 0.3 on *h*. What follows?",
    hints=("An annotation of a bidirectional encoder has read more than its own letter.",),
    choices=(
        Choice(
            "The context at this step is mostly made of these two annotations; what each of them says about "
            "the word is not shown.",
            "Each annotation has read the whole word from both sides. The map shows where the decoder read, "
            "not what it found there.",
            right=True,
        ),
        Choice(
            "The model writes F because of p, and h matters half as much.",
            "A weight is a share of an average. What matters is how the output would change, and that depends "
            "on the annotations too.",
        ),
        Choice(
            "The model knows that ph is one sound.",
            "It may. The weights alone do not say so: the annotation of p has read the h as well.",
        ),
        Choice(
            "The other letters have no influence on this step.",
            "They reach it through the annotations of p and h, and through the decoder's state.",
        ),
    ),
)

EXERCISES = (BOTTLENECK, SHIFT, CONTEXT, LOSS, RATE, SOFT)
