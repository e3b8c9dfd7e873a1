"""Mutants that pass because they are right: for each exercise, what was changed, and why that is the same function."""

LAST_OF_TWO = "the tensor has two axes, so axis 1 is axis -1"

EQUIVALENT = {
    "look-at-all": {"-1: USub dropped": LAST_OF_TWO},
    "softmax": {"-1: USub dropped": LAST_OF_TWO},
    "distance-by-dots": {"-1: USub dropped": LAST_OF_TWO},
    "sinusoidal-table": {"torch.zeros(n, d): zeros -> ones": "every column is written over"},
    "context-vector": {"-1: USub dropped": LAST_OF_TWO, "0: 0 - 1": "the axis has one place, so 0 is -1"},
    "masked-weights": {
        "0.0: 0.0 + 1": "empty rows are set to 0 afterwards: only gradients tell, and none are asked for",
        "0.0: 0.0 - 1": "empty rows are set to 0 afterwards: only gradients tell, and none are asked for",
        "closed.masked_fill(nothing, 0.0): .masked_fill() dropped": "the same",
    },
    "local-weights": {"-1: USub dropped": LAST_OF_TWO},
    "masked-loss": {"0: 0 - 1": "the axis has one place, so 0 is -1"},
    "attention-pooling": {"-1: USub dropped": LAST_OF_TWO},
    "nearest-passages": {"-1: USub dropped": LAST_OF_TWO},
    "linear-attention": {"-1: USub dropped": LAST_OF_TWO},
    "rank-agreement": {
        "(a[i] - a[j]) * (b[i] - b[j]): Mult changed": "without ties a quotient has the sign of the product",
        "(i, j): pair exchanged": "both differences change their signs",
    },
    "without-one-key": {"-1: USub dropped": LAST_OF_TWO},
    "score-gradient": {"-1: USub dropped": LAST_OF_TWO},
    "attention-rollout": {
        "-1: USub dropped": "a layer has n rows and n columns: axes 1 and 2 are as long",
        "1: 1 + 1": "a layer has n rows and n columns: axes -2 and -1 are as long",
    },
    "window-on-a-grid": {
        "(place // columns, place % columns): pair exchanged": "both distances are compared in the same way",
    },
    "squares-for-the-keys": {"-1: USub dropped": LAST_OF_TWO},
    "measure-the-scale": {"-1: USub dropped": LAST_OF_TWO},
    "rotary": {"-2: USub dropped": "the stack has four axes, so axis 2 is axis -2"},
    "nucleus": {"0: 0 - 1": "the tensor has one axis, so axis 0 is axis -1"},
}
