"""What all tests share."""

import array_api_strict
import numpy as np
import pytest
import torch


@pytest.fixture(scope="session", params=[np, torch, array_api_strict], ids=["numpy", "torch", "strict"])
def xp(request):
    """Each array library in turn; `xp.asarray(a)` turns a numpy array into one of its own."""
    return request.param
