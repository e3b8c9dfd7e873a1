"""What all tests share: shapes checked as annotated, one thread, fixed seeds, every device at hand."""

import os
import sys

import hypothesis
import jaxtyping
import matplotlib
import pytest
import torch

# Keras reads its backend once, when it is first imported.
os.environ["KERAS_BACKEND"] = "torch"

# From here on every annotated call into the package has its shapes and types checked; readers never pay for that.
assert "attnbook" not in sys.modules, "attnbook was imported before its annotations could be checked"
# The numeric tower: an int goes where a float is asked for, as Python's typing rules have it.
jaxtyping.install_import_hook("attnbook", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

torch.set_num_threads(1)
matplotlib.use("Agg")
hypothesis.settings.register_profile("book", derandomize=True, deadline=None, max_examples=50, database=None)
hypothesis.settings.load_profile("book")

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])


@pytest.fixture(autouse=True)
def fixed_seed():
    """Each test starts from the same random state, whichever tests ran before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session", params=DEVICES)
def device(request):
    """The CPU, and CUDA where there is one."""
    return torch.device(request.param)


@pytest.fixture
def own_errors():
    """Switch the checks of annotations off, so that the package's own errors are the ones that are seen."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
