"""The file: entropy-coded codes of all tensors of a network inside one standard safetensors file.

Nothing in it is executable (no pickle), every size is bounded before memory is taken, and a checksum over
the whole file comes before any decoding: a file is exactly what was saved, or a `CorruptFileError`.

Layout: the frame of `mcomp.file.frame`, whose metadata say which network it is (see `mcomp.file.rebuild`).
Inside, a digest of the names, shapes and dtypes (4 bytes), then the code of each tensor in the order of the
state dict, each preceded by its length as a varint: mcomp/file/parts.py. Both ways go through the tensors a
few million numbers at a time, so that memory stays near that of the network.

Goals, in seconds of CPU on one core that does nothing else: to save takes at most 2 (without a codec 1) and
to load at most 0.5 a million numbers, where a network has more than `mcomp.file.parts.SMALL` of them. A
smaller one is coded in the fewest bytes, if need be a binary decision at a time in Python (seen: up to nine
a number), and what each tensor takes, whatever is in it, counts for more. Seen with 80,000 to 470,000 numbers
in 6 to 1,800 tensors: 0.04 to 2.4 s to save, 0.03 to 0.8 s to load. Measured by benchmarks/file.py; tests
hold the number of calls, not the time.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tqdm.auto import tqdm

from mcomp.arrays import bad_value, check_int
from mcomp.codecs.codes import stream_rows
from mcomp.coding.bits import CorruptFileError, Reader, varint
from mcomp.file.frame import checked, sealed
from mcomp.file.parts import Writer, bits_dtype, check_tensor, place_of_equal, tensors_of
from mcomp.file.rebuild import NeedsModelError, describe, digest, fitted, sketched
from mcomp.files import write_atomic

__all__ = ["Contents", "CorruptFileError", "NeedsModelError", "byte_rows", "load", "read", "save"]

MAX_WEIGHTS = 4_000_000  # 16 MB of float32, which take up to 100 MB while they are decoded
TOGETHER = 1 << 21  # numbers whose streams are coded side by side
LEAST = 1 << 12  # numbers that a tensor, however small, counts for: its streams have their own work space
IN_MEMORY = 1 << 24  # bytes of a file that aren't put down on the disk before its header is known
PIECE = 1 << 20


def save(model, path, *, factory=None, config=None, progress=True):
    """Write `model`, with its codecs if it has any attached, to one small file; returns its size in bytes.

    A network of the zoo or of a class with `mcomp.register` is named in the file, and `load` builds it again,
    also after `remove_channels`, `factorize` and `fold_batchnorm`: the file says what they did. For any other
    network, or one changed in other ways, `load` must be given one to fill. The model isn't changed. What
    `load` returns predicts bit for bit the same. Tensors that are equal, as tied ones are, are written once.

    Parameters
    ----------
    model : torch.nn.Module
    path : path-like
    factory : str, optional
        ``"package.module:function"`` that makes such a network, for who opens the file with the same name.
    config : dict, optional
        The keyword arguments of `factory`, of what JSON can hold.
    progress : bool
        Show a bar if it takes longer than two seconds.

    Raises
    ------
    ValueError
        If the state of the model holds something else than plain tensors of numbers, or a layer computes a
        weight before each pass, as torch.nn.utils.prune does: the error names it. If its class is registered
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
    from mcomp.codecs.attachment import code_of, outline

    plain, described = outline(model)
    state = plain.state_dict()
    for name, tensor in state.items():
        check_tensor(name, tensor)
    metadata = describe(plain, factory=factory, config=config)
    writer = Writer(sum(tensor.numel() for tensor in state.values()))
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as body, _bar("save", state, progress) as bar:
        body.write(digest(state))
        for names in _batches(state):
            codes = {name: code_of(model, name) for name in names if name in described}
            for data in writer.parts({name: state[name] for name in names}, codes):
                body.write(varint(len(data)) + data)
            bar.update(sum(state[name].numel() for name in names))
        n = body.tell()
        body.seek(0)
        write_atomic(path, sealed(metadata, iter(lambda: body.read(PIECE), b""), n))
    return Path(path).stat().st_size


def load(path, *, model=None, factory=None, max_weights=MAX_WEIGHTS, progress=True):
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
    progress : bool
        Show a bar if it takes longer than two seconds.

    Raises
    ------
    CorruptFileError
        If the file is cut short, changed, of another version, or claims what can't be. A ValueError.
    NeedsModelError
        If the file is whole, but doesn't say or isn't trusted to say which network it is of, or the one given
        doesn't fit: the message says what to pass. A ValueError.
    ValueError
        If the `model` given is on the device "meta", where nothing can be filled.
    """
    contents, plan, sketch = _opened(path, model, factory, max_weights)
    state, network = contents.fitting(sketch.state_dict()), plan.build()
    with _bar("load", state, progress) as bar:
        for some in contents.tensors(state):
            network.load_state_dict(some, strict=len(some) == len(state))
            bar.update(sum(tensor.numel() for tensor in some.values()))
    return network.eval()


@dataclass(frozen=True)
class Contents:
    """A checked file, not yet decoded: `metadata`, `digest`, where the bytes of each tensor are, its size."""

    path: Path
    metadata: dict
    digest: bytes
    spans: list
    nbytes: int

    def part(self, i):
        """The bytes of the code of tensor `i`; of its equal, if it refers to one."""
        place = place_of_equal(data := self._bytes(i), i)
        return data if place is None else self._bytes(place)

    def refers(self, i):
        """Whether tensor `i` is told to be the equal of one before it."""
        return place_of_equal(self._bytes(i), i) is not None

    def _bytes(self, i):
        begin, n = self.spans[i]
        with open(self.path, "rb") as file:
            file.seek(begin)
            return file.read(n)

    def fitting(self, state):
        """`state`, if the file holds tensors with its names, shapes and dtypes."""
        if len(self.spans) != len(state) or self.digest != digest(state):
            held = f"the file holds {len(self.spans)} tensors with names, shapes and dtypes that don't fit"
            raise CorruptFileError(f"{held} this network's {len(state)}")
        return state

    def tensors(self, state):
        """Yield tensors by name, a dict of some at a time."""
        place = {name: i for i, name in enumerate(state)}
        for names in _batches(state):
            parts = [self.part(place[name]) for name in names]
            yield dict(zip(names, tensors_of(parts, [state[name] for name in names]), strict=True))


def read(path, *, max_bytes=8 * MAX_WEIGHTS):
    """Check the file at `path` from end to end, without decoding a weight; returns its `Contents`."""
    path = Path(path)
    size = path.stat().st_size
    if size > max_bytes:
        raise CorruptFileError(f"{path} has {size:,} bytes; allowed: {max_bytes:,}")
    with open(path, "rb") as file:
        metadata, at, end = checked(file)
        file.seek(at)
        digest, at, spans = Reader(file.read(min(4, end - at))).read(4), at + 4, []
        while at < end:
            file.seek(at)
            reader = Reader(file.read(min(10, end - at)))
            n = reader.varint(end - at)
            at += reader.at
            if n > end - at:
                raise CorruptFileError(f"a tensor of {n:,} bytes at byte {at:,} of {end:,}")
            spans.append((at, n))
            at += n
    return Contents(path, metadata, digest, spans, size)


def byte_rows(path, *, model=None, factory=None, max_weights=MAX_WEIGHTS):
    """Where the bytes of a file went: rows (tensor, stream, numbers, bytes, bits of entropy) that add up.

    The last row is the format itself: header, lengths and checksum. Parameters and errors as of `load`.
    """
    contents, _, sketch = _opened(path, model, factory, max_weights)
    rows = []
    for i, (name, x) in enumerate(contents.fitting(sketch.state_dict()).items()):
        found = stream_rows(contents.part(i), x.shape, bits_dtype(x.dtype))
        if contents.refers(i):
            found = [("equal", x.numel(), contents.spans[i][1], 0.0)]
        rows += [(name, *row) for row in found]
    rest = contents.nbytes - sum(row[3] for row in rows)
    return [*rows, ("", "format", 0, rest, 0.0)]


def _opened(path, model, factory, max_weights):
    """The contents of a file, the `Blueprint` of the network to fill, and that network without memory."""
    if model is not None:
        if any(tensor.is_meta for tensor in model.state_dict().values()):
            allowed = "one with memory: model.to_empty(device='cpu')"
            raise bad_value("the device of the model", "meta", allowed)
        contents = read(path, max_bytes=_most_bytes(model.state_dict()))
        return contents, *fitted(model, contents.digest, contents.metadata)
    contents = read(path, max_bytes=8 * check_int("max_weights", max_weights, 0))
    return contents, *sketched(contents.metadata, factory=factory, max_weights=max_weights)


def _batches(state):
    """The names of a state in order, in lists of a few million numbers."""
    names, numbers = [], 0
    for name, tensor in state.items():
        n = max(tensor.numel(), LEAST)
        if names and numbers + n > TOGETHER:
            yield names
            names, numbers = [], 0
        names.append(name)
        numbers += n
    if names:
        yield names


def _bar(what, state, progress):
    """A progress bar over the numbers of a state; in notebooks too it heeds TQDM_DISABLE."""
    total, silent = sum(x.numel() for x in state.values()), os.environ.get("TQDM_DISABLE") == "1"
    shown = {"unit": "weight", "unit_scale": True, "delay": 2, "leave": False}
    return tqdm(total=total, desc=what, disable=silent or not progress, **shown)


def _most_bytes(state):
    """A limit that no file for a network with this state reaches."""
    return 65_536 + sum(2 * tensor.nbytes + 64 for tensor in state.values())
