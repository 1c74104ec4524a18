"""A small TinyGPT for the tests of what a language model at work does."""

import torch

from mcomp.gpt import TinyGPT


def small(seed=0, **config):
    """A network in float64 that does something with every weight, gains of norms among them."""
    torch.manual_seed(seed)
    model = TinyGPT(**{"dim": 16, "layers": 2, "heads": 2, "hidden": 12, **config}).double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return model.requires_grad_(False)
