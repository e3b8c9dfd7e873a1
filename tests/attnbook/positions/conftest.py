"""transformers is asked for formulas only: it must not look for a model on the network."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
