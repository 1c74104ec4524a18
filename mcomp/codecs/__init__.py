"""Each way to compress a tensor as a codec: `encode(w) -> Code`, `decode(code) -> w'`, the nearest that fits.

A codec is a projection followed by a description. `A | B` lets B describe the float numbers that A leaves:
``Sparse(0.9) | Codebook(16)`` keeps a tenth of the weights and lets them share 16 values.
"""

from mcomp.code import Chain, Code, Codec, codec_of, decode, payload_of
from mcomp.codecs.basic import Codebook, Plain, Sparse, masked

__all__ = [
    "Chain", "Code", "Codebook", "Codec", "Plain", "Sparse", "codec_of", "decode", "masked", "payload_of",
]  # fmt: skip
