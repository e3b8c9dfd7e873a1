"""Chapter 19: past one machine."""

import torch

from attnbook.exercises import properties
from attnbook.exercises.kinds import Choice, ChoiceExercise, FunctionExercise, Mistake, NumberExercise, WrongNumber
from attnbook.exercises.values import show

# ---- Joining


def joined(outputs, lses):
    weights = lses.softmax(dim=0)
    return (weights.unsqueeze(-1) * outputs).sum(dim=0)


def some_parts(draw, parts, n, d, spread, offset):
    return {"outputs": draw.normal(parts, n, d), "lses": spread * draw.normal(parts, n) + offset}


def copies_change_nothing(call, inputs):
    outputs, lses = (torch.cat([inputs[name]] * 2) for name in ("outputs", "lses"))
    gap = (call(inputs) - call({"outputs": outputs, "lses": lses})).abs().max().item()
    return None if gap < 1e-3 else f"every part came twice, and the result moved by {gap:.2g}"


def shift_changes_nothing(call, inputs):
    gap = (call(inputs) - call({**inputs, "lses": inputs["lses"] + 1})).abs().max().item()
    return None if gap < 1e-3 else f"1 was added to every log-sum-exp, and the result moved by {gap:.2g}"


JOINED = FunctionExercise(
    name="join-the-parts",
    chapter=19,
    title="What the parts make together",
    level="Warm-up",
    minutes=10,
    statement=r"""
Several workers have attended to parts of the keys. `outputs`, `(parts, n, d)`, are their outputs for the same `n`
queries,
`lses`, `(parts, n)`, the log-sum-exps of their scores, which may be as large as 1,000. Return the output over all keys,
`(n, d)`.
""",
    hints=(
        "How much does a part weigh? As much as the sum of the powers of its scores.",
        "exp(lse) would overflow. A softmax over the parts does the same and does not.",
    ),
    reference=joined,
    inputs=some_parts,
    cases=(
        {"parts": 1, "n": 1, "d": 1, "spread": 1.0, "offset": 0.0},
        {"parts": 2, "n": 1, "d": 1, "spread": 1.0, "offset": 0.0},
        {"parts": 2, "n": 2, "d": 2, "spread": 1.0, "offset": 0.0},
        {"parts": 3, "n": 2, "d": 3, "spread": 2.0, "offset": 0.0},
        {"parts": 3, "n": 3, "d": 3, "spread": 1.0, "offset": 1000.0},
        {"parts": 4, "n": 4, "d": 4, "spread": 1.0, "offset": -1000.0},
        {"parts": 5, "n": 3, "d": 2, "spread": 1.0, "offset": 0.0},
    ),
    properties=(
        properties.finite(),
        properties.Property("copies", "Every part twice gives the same.", copies_change_nothing),
        properties.Property("shift", "One number added to all log-sum-exps changes nothing.", shift_changes_nothing),
    ),
    mistakes=(
        Mistake(
            "the plain mean",
            (("lses.softmax(dim=0)", "torch.full_like(lses, 1 / len(lses))"),),
            "Parts do not weigh the same: one whose scores are large has more of the softmax.",
        ),
        Mistake(
            "over the queries",
            (("lses.softmax(dim=0)", "lses.softmax(dim=1)"),),
            "The softmax goes over the parts, for each query by itself.",
        ),
        Mistake(
            "no softmax",
            (("lses.softmax(dim=0)", "lses"),),
            "Log-sum-exps are scores: they must become weights that sum to 1.",
        ),
        Mistake(
            "divided by the sum",
            (("lses.softmax(dim=0)", "lses / lses.sum(dim=0)"),),
            "Log-sum-exps are logarithms. Shares are made of their powers.",
        ),
        Mistake(
            "powers that overflow",
            (("lses.softmax(dim=0)", "lses.exp() / lses.exp().sum(dim=0)"),),
            "exp of 1,000 is infinite in float32: take the largest off first, as softmax does.",
        ),
        Mistake(
            "the sum of the outputs",
            (("lses.softmax(dim=0)", "torch.ones_like(lses)"),),
            "The result is an average, not a sum.",
        ),
        Mistake(
            "powers that are not divided",
            (("lses.softmax(dim=0)", "lses.exp()"),),
            "Divide by the sum of the powers of all parts.",
        ),
        Mistake(
            "only the heaviest part",
            (("lses.softmax(dim=0)", "(lses == lses.amax(dim=0)).float()"),),
            "The other parts have a share too.",
        ),
    ),
)


# ---- Who holds what


def positions(n, rank, ranks):
    size = n // (2 * ranks)
    late = 2 * ranks - 1 - rank
    return torch.cat([torch.arange(size) + rank * size, torch.arange(size) + late * size])


def a_worker(draw, ranks, size, late):
    return {"n": 2 * ranks * size, "rank": (ranks - 1) * late, "ranks": ranks}


def same_work(call, inputs):
    n, ranks = inputs["n"], inputs["ranks"]
    work = [(call({**inputs, "rank": rank}) + 1).sum().item() for rank in range(ranks)]
    if max(work) - min(work) < 1e-6:
        return None
    return f"of {n} positions the workers' queries see {', '.join(show(w) for w in work)} keys in all: not balanced"


POSITIONS = FunctionExercise(
    name="positions-of-a-worker",
    chapter=19,
    title="An early piece and a late one",
    level="Practice",
    minutes=10,
    statement=r"""
`n` positions are cut into `2 * ranks` pieces of the same size (it comes out even). Worker `rank`, from 0 to `ranks -
1`, gets
the piece number `rank` from the start and the piece number `rank` from the end, both counted from 0. Return the
positions that it holds, in
ascending order: a tensor of `n / ranks` whole numbers.
""",
    hints=("The last piece has the number 2 · ranks − 1.", "Piece p begins at position p · n / (2 · ranks)."),
    reference=positions,
    inputs=a_worker,
    cases=(
        {"ranks": 1, "size": 1, "late": 0},
        {"ranks": 1, "size": 2, "late": 0},
        {"ranks": 2, "size": 1, "late": 0},
        {"ranks": 2, "size": 1, "late": 1},
        {"ranks": 2, "size": 2, "late": 1},
        {"ranks": 3, "size": 2, "late": 0},
        {"ranks": 3, "size": 2, "late": 1},
        {"ranks": 4, "size": 3, "late": 1},
        {"ranks": 4, "size": 2, "late": 0},
    ),
    properties=(
        properties.Property("balance", "All workers' queries see as many keys under a causal mask.", same_work),
    ),
    mistakes=(
        Mistake(
            "contiguous",
            (
                ("late = 2 * ranks - 1 - rank", "late = rank + 1"),
                ("rank * size", "2 * rank * size"),
                ("late * size", "(2 * rank + 1) * size"),
            ),
            "These are neighboring pieces. Under a causal mask the last worker would have most of the work.",
        ),
        Mistake(
            "the late piece in the same order",
            (("2 * ranks - 1 - rank", "ranks + rank"),),
            "Count the second piece from the end: the first worker gets the last one.",
        ),
        Mistake(
            "one piece too late",
            (("2 * ranks - 1 - rank", "2 * ranks - rank"),),
            "Pieces are counted from 0, so that the last one is 2 · ranks − 1.",
        ),
        Mistake(
            "pieces twice as large",
            (("n // (2 * ranks)", "n // ranks"),),
            "There are 2 · ranks pieces.",
        ),
        Mistake(
            "the late piece first",
            (
                (
                    "[torch.arange(size) + rank * size, torch.arange(size) + late * size]",
                    "[torch.arange(size) + late * size, torch.arange(size) + rank * size]",
                ),
            ),
            "In ascending order: a causal mask among them needs it.",
        ),
        Mistake(
            "only the early piece",
            (
                (
                    "[torch.arange(size) + rank * size, torch.arange(size) + late * size]",
                    "[torch.arange(size) + rank * size]",
                ),
            ),
            "A worker has two pieces.",
        ),
        Mistake(
            "every ranks-th position",
            (
                (
                    "torch.cat([torch.arange(size) + rank * size, torch.arange(size) + late * size])",
                    "torch.arange(rank, n, ranks)",
                ),
            ),
            "These are stripes, another way to balance. Here a worker has two contiguous pieces.",
        ),
    ),
)


# ---- Numbers and questions


def source():
    """In step s (from 1) worker r holds the keys of worker r - (s - 1)."""
    return (1 - (4 - 1)) % 6


WHOSE = NumberExercise(
    name="whose-keys",
    chapter=19,
    title="Whose keys are these?",
    level="Warm-up",
    minutes=4,
    statement="""
Six workers, 0 to 5, in a ring. In step 1 each holds its own keys; after each step it passes them on to the worker
with the next higher
number (5 passes on to 0). Whose keys does worker 1 hold in step 4?
""",
    hints=("In step 2 it holds those of worker 0.", "Count down from 1, round the ring."),
    answer=source,
    tolerance=0.0001,
    mistakes=(
        WrongNumber("one step too many", lambda: 3, "In step 1 it holds its own: three have passed in step 4."),
        WrongNumber(
            "one step too few", lambda: 5, "In step 1 its own, in step 2 those of worker 0, in step 3 of worker 5."
        ),
        WrongNumber("its own", lambda: 1, "They have been passed on three times."),
        WrongNumber("the step", lambda: 0, "Those of worker 0 came in step 2."),
    ),
)


def megabytes():
    """Keys and values of 8,192 positions, 8 heads of 128, 2 bytes, sent 7 times."""
    return 7 * 2 * 8192 * 8 * 128 * 2 / 1e6


BYTES = NumberExercise(
    name="bytes-round-the-ring",
    chapter=19,
    title="What a worker sends",
    level="Practice",
    minutes=6,
    statement="""
65,536 tokens on 8 workers; 32 query heads and 8 heads of keys and values of 128 numbers, 2 bytes each. How many MB
(10⁶ bytes)
does one worker send in a forward pass of one layer?
""",
    hints=("What travels, and what stays?", "A worker sends 7 times what it holds: 8,192 keys and values."),
    answer=megabytes,
    mistakes=(
        WrongNumber(
            "eight times", lambda: 8 * 2 * 8192 * 8 * 128 * 2 / 1e6, "After seven passes every worker has seen all."
        ),
        WrongNumber("once", lambda: 2 * 8192 * 8 * 128 * 2 / 1e6, "Keys and values are passed on in 7 steps."),
        WrongNumber("keys alone", lambda: 7 * 8192 * 8 * 128 * 2 / 1e6, "Values travel too."),
        WrongNumber(
            "32 heads", lambda: 7 * 2 * 8192 * 32 * 128 * 2 / 1e6, "Keys and values have 8 heads. Queries stay."
        ),
        WrongNumber(
            "all tokens each time", lambda: 7 * 2 * 65536 * 8 * 128 * 2 / 1e6, "A worker holds 65,536 / 8 positions."
        ),
        WrongNumber("in MiB", lambda: 7 * 2 * 8192 * 8 * 128 * 2 / 2**20, "An MB was said to be 10⁶ bytes."),
    ),
)

AVERAGE = ChoiceExercise(
    name="average-of-outputs",
    chapter=19,
    title="It trains, a little worse",
    level="Practice",
    minutes=4,
    statement=(
        "A program for split texts averages the workers' outputs, all with the same weight. Shapes "
        "are right, nothing is "
        "NaN, and a model trains with it, a little worse. Which test would have found the mistake at once?"
    ),
    hints=("On which inputs do right and wrong differ most?",),
    choices=(
        Choice(
            "Compare with one process on random inputs with large scores.",
            "With large scores the parts weigh very differently, and the outputs differ plainly.",
            right=True,
        ),
        Choice("Check that the weights sum to 1.", "They do: an average of averages is an average."),
        Choice(
            "Compare with one process on inputs near 0.",
            "There all parts weigh nearly the same, and the mistake hides.",
        ),
        Choice("Run it with one worker.", "With one worker there is nothing to average."),
    ),
)

MACHINES = ChoiceExercise(
    name="what-more-machines-do",
    chapter=19,
    title="Twice the text, twice the machines",
    level="Warm-up",
    minutes=3,
    statement=(
        "A text twice as long is read on twice as many machines, with ring attention. Compared with "
        "before, how long does "
        "the attention of one layer take, if sending hides behind computing?"
    ),
    hints=("Work in all, divided by machines.",),
    choices=(
        Choice("Twice as long.", "Four times the work on twice the machines.", right=True),
        Choice("As long as before.", "The work is four times as much: every query meets twice as many keys."),
        Choice("Four times as long.", "That would be on as many machines as before."),
        Choice("Half as long.", "The work grew faster than the number of machines."),
    ),
)

EXERCISES = (JOINED, WHOSE, POSITIONS, BYTES, AVERAGE, MACHINES)
