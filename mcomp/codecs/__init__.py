"""Each way to compress a tensor as a codec: `encode(w) -> Code`, `decode(code) -> w'`, the nearest that fits.

A codec is a projection followed by a description. `A | B` lets B describe the float numbers that A leaves:
``Sparse(0.9) | Codebook(16)`` keeps a tenth of the weights and lets them share 16 values. `attach` puts
codecs on the parameters of a torch network, `bake` takes them off; all else here works without torch.
"""

import importlib

from mcomp.codecs.basic import Codebook, Plain, Sparse, masked
from mcomp.codecs.code import Chain, Code, Codec, codec_of, decode, payload_of
from mcomp.codecs.levels import Binary, PowerOfTwo, Ternary
from mcomp.codecs.lowrank import LowRank
from mcomp.codecs.minifloats import MiniFloat
from mcomp.codecs.nm import NMSparse
from mcomp.codecs.normal import NormalFloat
from mcomp.codecs.uniform import GroupUniform, Uniform
from mcomp.codecs.vectors import Product

_NEED_TORCH = {
    "ActivationGrid": "activations", "attach": "attachment", "attached": "attachment", "bake": "attachment",
    "calibrate": "activations",
}  # fmt: skip

__all__ = [
    "ActivationGrid",
    "Binary",
    "Chain",
    "Code",
    "Codebook",
    "Codec",
    "GroupUniform",
    "LowRank",
    "MiniFloat",
    "NMSparse",
    "NormalFloat",
    "Plain",
    "PowerOfTwo",
    "Product",
    "Sparse",
    "Ternary",
    "Uniform",
    "attach",
    "attached",
    "bake",
    "calibrate",
    "codec_of",
    "decode",
    "masked",
    "payload_of",
]  # fmt: skip


def __getattr__(name):
    if name not in _NEED_TORCH:
        raise AttributeError(f"module 'mcomp.codecs' has no attribute {name!r}")
    return getattr(importlib.import_module(f"mcomp.codecs.{_NEED_TORCH[name]}"), name)
