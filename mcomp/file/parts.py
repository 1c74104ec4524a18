"""The tensors in a file: each as the shortest of several codes, or as the place of its equal before it."""

import hashlib

import numpy as np
import torch

from mcomp.arrays import bad_value
from mcomp.codecs import Code, decode
from mcomp.codecs.codes import Effort, code_from_bytes_steps, code_to_bytes_steps, numbers, readable
from mcomp.coding.batch import run_all
from mcomp.coding.bits import Reader, varint
from mcomp.coding.floats import least_bytes_steps

__all__ = ["Writer", "bits_dtype", "check_tensor", "place_of_equal", "tensors_of"]

EQUAL = 4  # the first byte of a tensor that is another's equal; 0 to 3 are those of codes
SMALL = 1 << 19  # numbers of a network for which the slow codes are tried on every mask


class Writer:
    """Makes the bytes of tensors, one batch after the other, for a network of `n` numbers in all."""

    def __init__(self, n):
        self.quick, self.written, self.seen = n > SMALL, 0, {}

    def parts(self, named, codes):
        """The bytes of each tensor of a dict, in order; `codes` are those that codecs gave, by name."""
        bits, jobs = [_to_bits(x, codes.get(name)) for name, x in named.items()], []
        for x, name in zip(bits, named, strict=True):
            key = x.shape, x.dtype, hashlib.blake2b(x.reshape(-1).view(np.uint8), digest_size=16).digest()
            equal = self.seen.setdefault(key, self.written)
            jobs.append(self._steps(x, codes.get(name), equal if equal < self.written else None))
            self.written += 1
        return run_all(jobs)

    def _steps(self, bits, code, equal):
        if equal is None:
            return (yield from _shortest(bits, code, self.quick))
        reference = bytes([EQUAL]) + varint(equal)
        if bits.size > 64:  # a smaller one may be shorter itself
            return reference
        return min((yield from _shortest(bits, code, self.quick)), reference, key=len)


def place_of_equal(data, before):
    """The place that the bytes of a tensor refer to, below `before`; None if they are a code."""
    if data[:1] != bytes([EQUAL]):
        return None
    reader = Reader(data[1:])
    place = reader.varint(before - 1) if before else None
    reader.end()
    return place


def tensors_of(parts, likes):
    """The torch tensors in the bytes `parts`, of the shapes and dtypes of `likes`; else CorruptFileError."""
    steps = [
        code_from_bytes_steps(data, x.shape, bits_dtype(x.dtype))
        for data, x in zip(parts, likes, strict=True)
    ]
    return [_from_bits(decode(code), x.dtype) for code, x in zip(run_all(steps), likes, strict=True)]


def _shortest(bits, code, quick):
    """The shortest of: the code that a codec gave, the non-zero numbers and where they are, all numbers."""
    options, effort = [], Effort(quick)
    flat = bits.reshape(-1)
    here = flat.view(f"u{bits.itemsize}") > 0  # -0.0 is none of the zeros
    zeros = not here.all()
    if code is not None and not (zeros and _says_only_positions(code)) and _faithful(bits, code):
        options.append((yield from code_to_bytes_steps(code, effort)))
    kept = flat[here] if zeros else flat
    if zeros and not (options and (yield from least_bytes_steps(kept)) >= len(options[0])):
        values = Code("plain", kept.shape, floats={"values": kept})
        sparse = Code("sparse", bits.shape, {"positions": np.flatnonzero(here)}, {"values": values})
        options.append((yield from code_to_bytes_steps(sparse, effort)))
    if not options or (yield from least_bytes_steps(bits)) < min(map(len, options)):
        plain = Code("plain", bits.shape, floats={"values": flat})
        options.append((yield from code_to_bytes_steps(plain, effort)))
    return min(options, key=len)


def _says_only_positions(code):
    return code.kind == "sparse" and not isinstance(code.floats["values"], Code)


def _faithful(bits, code):
    """Whether numpy makes of `code`, as a reader gets it, exactly `bits`, which torch made of it."""
    try:
        code = code.map(numbers, symbols=lambda x: numbers(x).reshape(-1).astype(np.int64))
        again = decode(code)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return False  # a bfloat16 network: numpy reads its numbers as integers
    same = (again.shape, again.dtype) == (bits.shape, bits.dtype) and again.tobytes() == bits.tobytes()
    return same and readable(code, bits.dtype)


def check_tensor(name, x):
    """ValueError unless `x`, in a network's state, is a tensor that a file can hold."""
    try:
        if bits_dtype(x.dtype).kind in "biuf":
            return
    except (AttributeError, TypeError, RuntimeError):
        pass
    kind = getattr(x, "dtype", type(x).__name__)
    raise bad_value(f"the state {name!r}", str(kind), "a plain tensor of float, integer or bool numbers")


def bits_dtype(dtype):
    """The numpy dtype of the bits that `numbers` makes of a torch tensor of `dtype`."""
    return numbers(torch.empty(0, dtype=dtype, device="cpu")).dtype


def _to_bits(x, code):
    """A tensor as a numpy array, or what its code says; bfloat16, which numpy lacks, as its bits."""
    x = x.detach() if code is None else decode(code)
    return np.ascontiguousarray(numbers(x.cpu()))


def _from_bits(bits, dtype):
    tensor = torch.from_numpy(np.ascontiguousarray(bits))
    return tensor.view(torch.bfloat16) if dtype == torch.bfloat16 else tensor
