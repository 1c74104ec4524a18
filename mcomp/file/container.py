"""The file: entropy-coded codes of all tensors of a network inside one standard safetensors file.

Nothing in it is executable (no pickle), every size is bounded before memory is taken, and a checksum over
the whole file comes before any decoding: a file is exactly what was saved, or a `CorruptFileError`.

Layout: the frame of `mcomp.file.frame`, whose metadata name the "architecture", its "config" and, unless
it is float32, its "dtype". Inside, a digest of the names, shapes and dtypes (4 bytes), then the code of each
tensor in the order of the state dict, each preceded by its length as a varint. The writer tries several codes
of a tensor and keeps the shortest, so a network that is sparse or shares values becomes a small file however
it got so.
"""

import copy
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mcomp.arrays import bad_value, check_int
from mcomp.codecs import Code, decode
from mcomp.codecs.codes import code_from_bytes, code_to_bytes, numbers, streams
from mcomp.coding.bits import CorruptFileError, Reader, varint
from mcomp.file.frame import seal, unseal
from mcomp.files import write_atomic

__all__ = ["Contents", "CorruptFileError", "byte_rows", "load", "read", "save"]

MAX_WEIGHTS = 4_000_000  # 16 MB of float32, which take up to 100 MB while they are decoded
FLOAT, DTYPES = "float32", ("float32", "float64", "float16", "bfloat16")


def save(model, path):
    """Write `model`, with its codecs if it has any attached, to one small file; returns its size in bytes.

    A network of the zoo is named in the file, and `load` builds it again; for any other, also for one of the
    zoo that was rebuilt since, `load` must be given one to fill. The model isn't changed. What `load` returns
    predicts bit for bit the same.

    Raises
    ------
    ValueError
        If the state of the model holds something else than plain tensors of numbers.

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
    body = [_digest(state)]
    for name, bits in tensors.items():
        data = _shortest(bits, described.get(name))
        body.append(varint(len(data)) + data)
    write_atomic(path, seal(_metadata(plain), b"".join(body)))
    return Path(path).stat().st_size


def load(path, *, model=None, max_weights=MAX_WEIGHTS):
    """The network in the file at `path`, in evaluation mode, on the CPU.

    Parameters
    ----------
    path : path-like
    model : torch.nn.Module, optional
        For a network that isn't of the zoo: one of the same shape; a filled copy of it is returned.
    max_weights : int
        A file that claims a network with more is refused before any memory is taken for it. A `model` given
        is itself the limit.

    Raises
    ------
    CorruptFileError
        If the file is cut short, changed, of another version, or claims what can't be. A ValueError.
    """
    contents, empty = _opened(path, model, max_weights)
    state, decoded = empty.state_dict(), {}
    for name, code in contents.codes(state):
        decoded[name] = _from_bits(decode(code), state[name].dtype)
    empty = empty.to_empty(device="cpu") if model is None else copy.deepcopy(model)
    empty.load_state_dict(decoded)
    return empty.eval()


@dataclass(frozen=True)
class Contents:
    """A checked file, not yet decoded: `metadata`, `digest`, the bytes of each tensor, and of the file."""

    metadata: dict
    digest: bytes
    parts: list
    nbytes: int

    def codes(self, state):
        """Yield name and code of each tensor of `state`, a dict of which shapes and dtypes count."""
        if len(self.parts) != len(state) or self.digest != _digest(state):
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


def byte_rows(path, *, model=None, max_weights=MAX_WEIGHTS):
    """Where the bytes of a file went: rows (tensor, stream, numbers, bytes, bits of entropy) that add up.

    The last row is the format itself: header, lengths and checksum. Parameters and errors as of `load`.
    """
    contents, empty = _opened(path, model, max_weights)
    rows = []
    for name, code in contents.codes(empty.state_dict()):
        rows += [(name, s.name, s.count, len(s.data), s.entropy_bits) for s in streams(code)]
    rest = contents.nbytes - sum(row[3] for row in rows)
    return [*rows, ("", "format", 0, rest, 0.0)]


def _opened(path, model, max_weights):
    """The contents of a file, and the network to fill: `model`, or the one claimed, without memory yet."""
    if model is not None:
        return read(path, max_bytes=_most_bytes(model.state_dict())), model
    contents = read(path, max_bytes=8 * check_int("max_weights", max_weights, 0))
    empty = _claimed(contents.metadata)
    total = sum(tensor.numel() for tensor in empty.state_dict().values())
    if total > max_weights:
        raise CorruptFileError(f"{path} claims {total:,} weights; allowed: {max_weights:,} (see max_weights)")
    return contents, empty


def _claimed(metadata):
    try:
        config, dtype = json.loads(metadata["config"]), metadata.get("dtype", FLOAT)
        return _rebuilt(metadata["architecture"], config, dtype)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        named, reason = str(metadata.get("architecture"))[:40], f"{type(error).__name__}: {error}"
        if not named:
            reason = "it isn't of the zoo, pass load(path, model=...) one to fill"
        raise CorruptFileError(f"the network {named!r} can't be built: {reason[:200]}") from None


def _rebuilt(name, config, dtype):
    import torch

    from mcomp.architectures import build

    if dtype not in DTYPES:
        raise bad_value("dtype", dtype, f"one of {', '.join(DTYPES)}")
    with torch.device("meta"):
        return build(name, **config).to(getattr(torch, dtype))


def _metadata(plain):
    """What `load` must know to build `plain` again; no architecture where that would give another network."""
    from mcomp.architectures import architecture

    name, config = architecture(plain)
    dtype = next((str(p.dtype).removeprefix("torch.") for p in plain.parameters()), FLOAT)
    if not name or dtype not in DTYPES or not _alike(_rebuilt(name, config, dtype), plain):
        return {"architecture": "", "config": "{}"}
    named = {"architecture": name, "config": json.dumps(config, separators=(",", ":"))}
    return named if dtype == FLOAT else {**named, "dtype": dtype}


def _alike(a, b):
    """Whether two networks have the same layers by name and options, and tensors of the same shapes."""
    return str(a) == str(b) and _digest(a.state_dict()) == _digest(b.state_dict())


def _digest(state):
    named = [(name, list(tensor.shape), str(tensor.dtype)) for name, tensor in state.items()]
    return hashlib.blake2b(json.dumps(named).encode(), digest_size=4).digest()


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
