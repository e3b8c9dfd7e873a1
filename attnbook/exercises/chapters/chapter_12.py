"""Chapter 12: images."""

import torch

from attnbook.exercises import properties
from attnbook.exercises.kinds import Choice, ChoiceExercise, FunctionExercise, Mistake, NumberExercise, WrongNumber

# ---- Patches


def patches(images, size):
    batch, channels, height, width = images.shape
    cut = images.reshape(batch, channels, height // size, size, width // size, size)
    cut = cut.permute(0, 2, 4, 1, 3, 5)
    return cut.reshape(batch, -1, channels * size * size)


def to_cut(draw, batch, channels, rows, columns, size):
    return {"images": draw.normal(batch, channels, rows * size, columns * size), "size": size}


PATCHES = FunctionExercise(
    name="cut-patches",
    chapter=12,
    title="An image as a text",
    level="Practice",
    minutes=15,
    statement=r"""
Cut images into square patches. `images` has the shape `(batch, channels, height, width)`; `size` is the side of a
patch in pixels and divides both. Return `(batch, number of patches, channels * size * size)`. Patches go from left to
right, then to the next row of patches. Inside a patch the order is channel, then row, then column, as in the weights
of a convolution.
""",
    hints=(
        "First only split: `reshape` height into (rows of patches, size), and width likewise: six axes.",
        "Then bring the axes into the order batch, row of patches, column of patches, channel, row, column, with "
        "`permute`, and only then join them.",
    ),
    reference=patches,
    inputs=to_cut,
    cases=(
        {"batch": 1, "channels": 1, "rows": 1, "columns": 2, "size": 2},
        {"batch": 1, "channels": 1, "rows": 2, "columns": 2, "size": 2},
        {"batch": 2, "channels": 1, "rows": 2, "columns": 3, "size": 1},
        {"batch": 2, "channels": 3, "rows": 2, "columns": 3, "size": 2},
        {"batch": 1, "channels": 2, "rows": 3, "columns": 1, "size": 3},
    ),
    properties=(properties.finite(),),
    mistakes=(
        Mistake(
            "cut without permuting",
            (("cut = cut.permute(0, 2, 4, 1, 3, 5)\n", "\n"),),
            "reshape alone cuts the numbers in the order in which they lie in memory: each 'patch' is a strip of rows. "
            "The shape is right and the content is not.",
        ),
        Mistake(
            "patches column by column",
            (("permute(0, 2, 4, 1, 3, 5)", "permute(0, 4, 2, 1, 3, 5)"),),
            "The patches go down the first column of patches first. They are read like lines of text.",
        ),
        Mistake(
            "each patch transposed",
            (("permute(0, 2, 4, 1, 3, 5)", "permute(0, 2, 4, 1, 5, 3)"),),
            "Inside a patch the columns come before the rows.",
        ),
        Mistake(
            "channels last",
            (("permute(0, 2, 4, 1, 3, 5)", "permute(0, 2, 4, 3, 5, 1)"),),
            "Inside a patch the channel is the fastest axis. A convolution's weights have it first.",
        ),
        Mistake(
            "a patch for each channel",
            (
                ("permute(0, 2, 4, 1, 3, 5)", "permute(0, 1, 2, 4, 3, 5)"),
                ("channels * size * size", "size * size"),
            ),
            "Each channel was cut by itself. A patch holds all channels of its place.",
        ),
        Mistake(
            "every size-th pixel",
            (
                (
                    "height // size, size, width // size, size)\n    cut = cut.permute(0, 2, 4, 1, 3, 5)",
                    "size, height // size, size, width // size)\n    cut = cut.permute(0, 3, 5, 1, 2, 4)",
                ),
            ),
            "The axes were split the wrong way round: each 'patch' holds pixels that lie apart.",
        ),
        Mistake(
            "the mean of each patch",
            (
                (
                    "return cut.reshape(batch, -1, channels * size * size)",
                    "return cut.reshape(batch, -1, channels * size * size).mean(dim=-1, keepdim=True)",
                ),
            ),
            "One number a patch. The patch keeps all its pixels; what to make of them is learned.",
        ),
    ),
)

# ---- A window in two directions


def window(rows, columns, reach):
    place = torch.arange(rows * columns)
    row, column = place // columns, place % columns
    near_row = (row[:, None] - row[None, :]).abs() <= reach
    near_column = (column[:, None] - column[None, :]).abs() <= reach
    return near_row & near_column


def to_window(draw, rows, columns, reach):
    return {"rows": rows, "columns": columns, "reach": reach}


WINDOW = FunctionExercise(
    name="window-on-a-grid",
    chapter=12,
    title="A window that knows rows",
    level="Practice",
    minutes=15,
    statement=r"""
The patches of an image stand on a grid of `rows` by `columns`, numbered from left to right, row by row. Write the mask
that lets each patch see the patches at most `reach` rows away *and* at most `reach` columns away, itself included: the
square that a convolution with $2 \cdot \text{reach} + 1$ taps a side sees. Return a boolean tensor of shape
`(rows * columns, rows * columns)`, True where attention is allowed.
""",
    hints=(
        "Patch number $p$ stands in row `p // columns` and column `p % columns`.",
        "Two tables of distances, one of rows and one of columns, and `&` of two comparisons.",
    ),
    reference=window,
    inputs=to_window,
    cases=(
        {"rows": 1, "columns": 3, "reach": 1},
        {"rows": 2, "columns": 2, "reach": 0},
        {"rows": 3, "columns": 3, "reach": 1},
        {"rows": 2, "columns": 5, "reach": 1},
        {"rows": 5, "columns": 2, "reach": 1},
        {"rows": 4, "columns": 5, "reach": 2},
    ),
    smallest={"reach": 0},
    mistakes=(
        Mistake(
            "a window on the sequence",
            (("return near_row & near_column", "return (place[:, None] - place[None, :]).abs() <= reach"),),
            "This counts along the sequence. The end of a row and the start of the next are neighbors there, and the "
            "patch right above is not.",
        ),
        Mistake(
            "or for and",
            (("near_row & near_column", "near_row | near_column"),),
            "Whole rows and columns are seen: a cross. Both distances must be small.",
        ),
        Mistake(
            "rows and columns exchanged",
            (("place // columns, place % columns", "place // rows, place % rows"),),
            "The place is divided by the number of rows. A row has `columns` places; on a square grid none can tell.",
        ),
        Mistake(
            "a diamond",
            (
                (
                    "return near_row & near_column",
                    "return (row[:, None] - row).abs() + (column[:, None] - column).abs() <= reach",
                ),
            ),
            "The sum of both distances was compared: the corners of the square are missing.",
        ),
        Mistake(
            "one less",
            (
                ("row[None, :]).abs() <= reach", "row[None, :]).abs() < reach"),
                ("column[None, :]).abs() <= reach", "column[None, :]).abs() < reach"),
            ),
            "At most means that the distance `reach` is in.",
        ),
        Mistake(
            "backward only",
            (
                ("(row[:, None] - row[None, :]).abs()", "(row[None, :] - row[:, None])"),
                ("(column[:, None] - column[None, :]).abs()", "(column[None, :] - column[:, None])"),
            ),
            "Without the absolute value everything above and to the left is near.",
        ),
        Mistake(
            "upside down",
            (("return near_row & near_column", "return ~(near_row & near_column)"),),
            "True means that attention is allowed.",
        ),
        Mistake(
            "only the rows",
            (("return near_row & near_column", "return near_row"),),
            "The columns are not limited: a patch sees whole rows.",
        ),
    ),
)

# ---- Rollout


def rollout(weights):
    n = weights.shape[-1]
    reach = torch.eye(n)
    for layer in weights:
        mixed = (layer + torch.eye(n)) / 2
        reach = mixed @ reach
    return reach


def to_roll(draw, layers, n):
    return {"weights": draw.normal(layers, n, n, spread=2.0).softmax(dim=-1)}


ROLLOUT = FunctionExercise(
    name="attention-rollout",
    chapter=12,
    title="Attention through the layers",
    level="Challenge",
    minutes=20,
    statement=r"""
*Rollout* follows the attention from the last layer down to the input. `weights` has the shape `(layers, n, n)`, the
mean over the heads of each layer, the first layer first; rows read, columns are read. The residual connection is
counted as half: layer $l$ mixes with $M_l = (A_l + I)/2$. The last layer reads what the layer before it made, so that
the result is $M_L \cdots M_2 M_1$: in row $i$, how much of each input is in output $i$. Return `(n, n)`.
""",
    hints=(
        "Start with the identity; each layer multiplies from the left.",
        "Check: the rows of the result sum to 1.",
    ),
    reference=rollout,
    inputs=to_roll,
    cases=(
        {"layers": 1, "n": 2},
        {"layers": 2, "n": 2},
        {"layers": 2, "n": 3},
        {"layers": 3, "n": 4},
        {"layers": 5, "n": 3},
    ),
    smallest={"n": 2},
    properties=(properties.finite(),),
    mistakes=(
        Mistake(
            "the first layer last",
            (("reach = mixed @ reach", "reach = reach @ mixed"),),
            "The product is M_1 M_2 ... M_L, as if the first layer read the last. The later layer stands on the left.",
        ),
        Mistake(
            "no residual connection",
            (("(layer + torch.eye(n)) / 2", "layer"),),
            "The product of the attention alone forgets that each position keeps its own vector.",
        ),
        Mistake(
            "not halved",
            (("(layer + torch.eye(n)) / 2", "layer + torch.eye(n)"),),
            "The rows of A + I sum to 2, and the product grows with every layer.",
        ),
        Mistake(
            "added up",
            (("reach = mixed @ reach", "reach = reach + mixed"),),
            "Layers are not side by side: each reads what the one before has made. Matrices are multiplied.",
        ),
        Mistake(
            "element by element",
            (("reach = mixed @ reach", "reach = mixed * reach"),),
            "The star multiplies cell by cell, and off the diagonal nothing is left. A path goes through positions: @.",
        ),
        Mistake(
            "the last layer alone",
            (("reach = mixed @ reach", "reach = mixed"),),
            "Each layer replaces those before it.",
        ),
        Mistake(
            "read and reader exchanged",
            (("return reach", "return reach.mT"),),
            "Rows are outputs, columns inputs; this is the other way round.",
        ),
    ),
)

# ---- Numbers


def vit_positions():
    patches = (384 // 16) ** 2
    return [patches + 1, (patches + 1) ** 2]


POSITIONS = NumberExercise(
    name="vit-positions",
    chapter=12,
    title="How long is an image?",
    level="Warm-up",
    minutes=5,
    statement=r"""
A square color image of 384 pixels a side is cut into patches of 16 pixels a side, and a class token is put before
them. How many positions does the encoder read, and how many weights does one head compute? Give both numbers.
""",
    hints=("Patches: 24 in a row, 24 rows.",),
    answer=vit_positions,
    tolerance=0.0001,
    mistakes=(
        WrongNumber("without the class token", lambda: [576, 576**2], "The class token is a position too."),
        WrongNumber("the side of the grid", lambda: [25, 625], "24 is the side of the grid; it has 24 rows of 24."),
        WrongNumber("pixels for patches", lambda: [384**2 + 1, (384**2 + 1) ** 2], "A patch is one position."),
        WrongNumber("channels counted", lambda: [3 * 576 + 1, (3 * 576 + 1) ** 2], "A patch holds all three channels."),
        WrongNumber("weights of the patches alone", lambda: [577, 576**2], "The class token reads, and is read."),
    ),
)


def receptive_side():
    return 1 + 2 * 5


RECEPTIVE = NumberExercise(
    name="receptive-field",
    chapter=12,
    title="How far five layers see",
    level="Warm-up",
    minutes=5,
    statement=r"""
Five convolutions of 3 by 3 stand one after the other, without pooling. How many pixels wide is the square of the input
that one output can depend on?
""",
    hints=("One layer sees 3. Each further layer adds one pixel on each side.",),
    answer=receptive_side,
    mistakes=(
        WrongNumber("one layer", lambda: 3, "That is one layer; each further one adds two."),
        WrongNumber(
            "three for each layer", lambda: 15, "Windows overlap: each layer adds one pixel on each side, not three."
        ),
        WrongNumber("three to the power", lambda: 3**5, "The side grows by 2 a layer, not threefold."),
        WrongNumber("one side only", lambda: 6, "It grows on both sides."),
        WrongNumber("the area", lambda: 121, "121 is the number of pixels in the square; its side was asked for."),
    ),
)

# ---- Choices

SHUFFLED = ChoiceExercise(
    name="shuffled-pixels",
    chapter=12,
    title="The same shuffle for every image",
    level="Practice",
    minutes=5,
    statement="""
Before training and before testing, the pixels of every image are put into another order, the same for all images. For
which model can nothing change at all?
""",
    hints=("Which one asks only how far two images are apart, pixel by pixel?",),
    choices=(
        Choice(
            "The support vector machine with an RBF kernel.",
            "It sees distances between images, sums over pixels in any order. Its answers stay the same.",
            right=True,
        ),
        Choice(
            "The convolutional network.",
            "Its 3 by 3 windows now hold pixels that have nothing to do with each other. It suffers most.",
        ),
        Choice(
            "The vision Transformer without position vectors.",
            "Without positions the order of *patches* does not matter, but pixels move from one patch to another.",
        ),
        Choice(
            "All of them, if they train long enough.",
            "They may learn, but not the same: with few images the convolutional network stays behind what it was.",
        ),
    ),
)

MAPS = ChoiceExercise(
    name="what-a-map-shows",
    chapter=12,
    title="What the erased patches say",
    level="Practice",
    minutes=5,
    statement="""
Setting the four patches that the class token attends to most to paper costs a model more right answers than setting
four random ones. Setting the four with the most ink to paper costs far more than either. What follows?
""",
    hints=("What would you conclude if nobody had tried the ink?",),
    choices=(
        Choice(
            "The map says something about what the model uses; how much, this test cannot tell.",
            "Paper takes away only ink. With another digit's patches in their place the map comes out ahead of ink.",
            right=True,
        ),
        Choice(
            "The map explains the decision: it beats chance.",
            "It beats chance, which is a low bar, and one test with one filling explains no decision.",
        ),
        Choice(
            "The map is noise.",
            "Noise would cost as much as random patches. It costs more.",
        ),
        Choice(
            "The model looks at ink only.",
            "Paper changes nothing where there is no ink, so that this test cannot see whether an empty patch matters.",
        ),
    ),
)

EXERCISES = (PATCHES, WINDOW, POSITIONS, RECEPTIVE, SHUFFLED, ROLLOUT, MAPS)
