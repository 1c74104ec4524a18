"""The file: entropy-coded codes of all tensors of a network inside one standard safetensors file.

Nothing in it is executable (no pickle), every size is bounded before memory is taken, and a checksum over
the whole file comes before any decoding: a file is exactly what was saved, or a `CorruptFileError`.

Layout: the frame of `mcomp.file.frame`, whose metadata say which network it is (see `mcomp.file.rebuild`).
Inside, a digest of the names, shapes and dtypes (4 bytes), then the code of each
tensor in the order of the state dict, each preceded by its length as a varint. The writer tries several codes
of a tensor and keeps the shortest, so a network that is sparse or shares values becomes a small file however
it got so.
"""

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mcomp.arrays import bad_value, check_int
from mcomp.codecs import Code, decode
from mcomp.codecs.codes import code_from_bytes, code_to_bytes, numbers, streams
from mcomp.coding.bits import CorruptFileError, Reader, varint
from mcomp.file.frame import seal, unseal
from mcomp.file.rebuild import NeedsModelError, describe, digest, fitted, sketched
from mcomp.files import write_atomic

__all__ = ["Contents", "CorruptFileError", "NeedsModelError", "byte_rows", "load", "read", "save"]

MAX_WEIGHTS = 4_000_000  # 16 MB of float32, which take up to 100 MB while they are decoded


def save(model, path, *, factory=None, config=None):
    """Write `model`, with its codecs if it has any attached, to one small file; returns its size in bytes.

    A network of the zoo or of a class with `mcomp.register` is named in the file, and `load` builds it again,
    also after `remove_channels`, `factorize` and `fold_batchnorm`: the file says what they did. For any other
    network, or one changed in other ways, `load` must be given one to fill. The model isn't changed. What
    `load` returns predicts bit for bit the same.

    Parameters
    ----------
    model : torch.nn.Module
    path : path-like
    factory : str, optional
        ``"package.module:function"`` that makes such a network, for who opens the file with the same name.
    config : dict, optional
        The keyword arguments of `factory`, of what JSON can hold.

    Raises
    ------
    ValueError
        If the state of the model holds something else than plain tensors of numbers, its class is registered
        and it has no `config` that builds it, or `factory` makes another network.

    Examples
    --------
    >>> import tempfile, torch
    >>> from mcomp import zoo
    >>> model = zoo.build("lenet300", hidden=(8, 8))
    >>> path = Path(tempfile.mkdtemp(), "tiny.safetensors")
    >>> save(model, path) == path.stat().st_size
    True
    >>> torch.equal(load(path).fc1.weight, model.fc1.weight)
    True
    """
    from mcomp.codecs.attachment import bake, codes

    described, plain = codes(model), bake(copy.deepcopy(model), keep_activations=True)
    state = plain.state_dict()
    tensors = {name: _to_bits(name, tensor) for name, tensor in state.items()}
    metadata, body = describe(plain, factory=factory, config=config), [digest(state)]
    for name, bits in tensors.items():
        data = _shortest(bits, described.get(name))
        body.append(varint(len(data)) + data)
    write_atomic(path, seal(metadata, b"".join(body)))
    return Path(path).stat().st_size


def load(path, *, model=None, factory=None, max_weights=MAX_WEIGHTS):
    """The network in the file at `path`, in evaluation mode, on the CPU.

    Parameters
    ----------
    path : path-like
    model : torch.nn.Module, optional
        For a network that the file doesn't name: one of the same shape, or one fresh from its class before
        mcomp cut it; a filled copy of it is returned.
    factory : str, optional
        ``"package.module:function"``, if the file was saved with that name and you trust that code.
    max_weights : int
        A file that claims a network with more is refused before any memory is taken for it. A `model` given
        is itself the limit.

    Raises
    ------
    CorruptFileError
        If the file is cut short, changed, of another version, or claims what can't be. A ValueError.
    NeedsModelError
        If the file is whole, but doesn't say or isn't trusted to say which network it is of, or the one given
        doesn't fit: the message says what to pass. A ValueError.
    """
    contents, plan, sketch = _opened(path, model, factory, max_weights)
    state, decoded = sketch.state_dict(), {}
    for name, code in contents.codes(state):
        decoded[name] = _from_bits(decode(code), state[name].dtype)
    network = plan.build()
    network.load_state_dict(decoded)
    return network.eval()


@dataclass(frozen=True)
class Contents:
    """A checked file, not yet decoded: `metadata`, `digest`, the bytes of each tensor, and of the file."""

    metadata: dict
    digest: bytes
    parts: list
    nbytes: int

    def codes(self, state):
        """Yield name and code of each tensor of `state`, a dict of which shapes and dtypes count."""
        if len(self.parts) != len(state) or self.digest != digest(state):
            held = f"the file holds {len(self.parts)} tensors with names, shapes and dtypes that don't fit"
            raise CorruptFileError(f"{held} this network's {len(state)}")
        for (name, tensor), data in zip(state.items(), self.parts, strict=True):
            yield name, code_from_bytes(data, tensor.shape, _bits_dtype(tensor.dtype))


def read(path, *, max_bytes=8 * MAX_WEIGHTS):
    """Check the file at `path` from end to end, without decoding a weight; returns its `Contents`."""
    path = Path(path)
    size = path.stat().st_size
    if size > max_bytes:
        raise CorruptFileError(f"{path} has {size:,} bytes; allowed: {max_bytes:,}")
    metadata, body = unseal(path.read_bytes())
    reader = Reader(body)
    digest, parts = reader.read(4), []
    while reader.left():
        parts.append(reader.read(reader.varint(reader.left())))
    return Contents(metadata, digest, parts, size)


def byte_rows(path, *, model=None, factory=None, max_weights=MAX_WEIGHTS):
    """Where the bytes of a file went: rows (tensor, stream, numbers, bytes, bits of entropy) that add up.

    The last row is the format itself: header, lengths and checksum. Parameters and errors as of `load`.
    """
    contents, _, sketch = _opened(path, model, factory, max_weights)
    rows = []
    for name, code in contents.codes(sketch.state_dict()):
        rows += [(name, s.name, s.count, len(s.data), s.entropy_bits) for s in streams(code)]
    rest = contents.nbytes - sum(row[3] for row in rows)
    return [*rows, ("", "format", 0, rest, 0.0)]


def _opened(path, model, factory, max_weights):
    """The contents of a file, the `Blueprint` of the network to fill, and that network without memory."""
    if model is not None:
        contents = read(path, max_bytes=_most_bytes(model.state_dict()))
        return contents, *fitted(model, contents.digest, contents.metadata)
    contents = read(path, max_bytes=8 * check_int("max_weights", max_weights, 0))
    return contents, *sketched(contents.metadata, factory=factory, max_weights=max_weights)


def _shortest(bits, code):
    """The shortest of: all numbers, the non-zero ones and where they are, the code that a codec gave."""
    plain = Code("plain", bits.shape, floats={"values": bits.reshape(-1)})
    options = [code_to_bytes(plain)]
    positions = np.flatnonzero(bits.reshape(-1).view(f"u{bits.itemsize}"))
    if positions.size < bits.size:
        kept = Code("plain", positions.shape, floats={"values": bits.reshape(-1)[positions]})
        options.append(code_to_bytes(Code("sparse", bits.shape, {"positions": positions}, {"values": kept})))
    if code is not None and (data := _faithful(bits, code)):
        options.append(data)
    return min(options, key=len)


def _faithful(bits, code):
    """The bytes of `code`, if the reader makes of them exactly `bits`; else None."""
    data = code_to_bytes(code)
    try:
        again = decode(code_from_bytes(data, bits.shape, bits.dtype))
    except CorruptFileError:  # a bfloat16 network: numpy reads its numbers as integers
        return None
    return data if again.tobytes() == bits.tobytes() else None


def _bits_dtype(dtype):
    """The numpy dtype of the bits that `numbers` makes of a torch tensor of `dtype`."""
    import torch

    return numbers(torch.empty(0, dtype=dtype, device="cpu")).dtype


def _to_bits(name, tensor):
    """A tensor of a network's state as a numpy array; bfloat16, which numpy lacks, as its bits."""
    try:
        bits = numbers(tensor.detach().cpu())
        if bits.dtype.kind in "biuf":
            return bits
    except (AttributeError, TypeError, RuntimeError):
        pass
    kind = getattr(tensor, "dtype", type(tensor).__name__)
    raise bad_value(f"the state {name!r}", str(kind), "a plain tensor of float, integer or bool numbers")


def _from_bits(bits, dtype):
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(bits))
    return tensor.view(torch.bfloat16) if dtype == torch.bfloat16 else tensor


def _most_bytes(state):
    """A limit that no file for a network with this state reaches."""
    return 65_536 + sum(2 * tensor.nbytes + 64 for tensor in state.values())
