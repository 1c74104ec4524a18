"""What all tests share, and which tests a Python without torch runs."""

import importlib.util

import array_api_strict
import numpy as np
import pytest

HAS_TORCH = importlib.util.find_spec("torch") is not None
LIBRARIES = {"numpy": np, "torch": None, "strict": array_api_strict}
if HAS_TORCH:
    import torch

    LIBRARIES["torch"] = torch
else:
    del LIBRARIES["torch"]


@pytest.fixture(scope="session", params=LIBRARIES.values(), ids=LIBRARIES)
def xp(request):
    """Each array library in turn; `xp.asarray(a)` turns a numpy array into one of its own."""
    return request.param
