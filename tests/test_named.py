"""Codes of a kind without a layout of its own: written by name, read back, and hostile bytes refused."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp import load, save
from mcomp.arrays import to_numpy
from mcomp.codecs import Code, Codebook, Codec, Plain, Sparse, attach, bake, decode
from mcomp.codecs.codes import code_from_bytes, code_to_bytes, streams
from mcomp.codecs.named import NAMES, name_bytes, read_name
from mcomp.coding.bits import CorruptFileError, Reader

quick = settings(derandomize=True, deadline=None, max_examples=40)


@dataclass(frozen=True)
class Steps(Codec):
    """A codec of a reader's own: whole multiples of a step for each row."""

    levels: int = 100
    kind: ClassVar[str] = "steps of a test"
    payload: ClassVar[str] = "scale"

    def encode(self, w, *, start=None):
        xp = self._namespace(w)
        scale = xp.amax(abs(w.detach() if hasattr(w, "detach") else w), 1) / self.levels
        index = (w / scale[:, None]).round()
        index = index.to(torch.int64) if xp is torch else index.astype(np.int64)
        return Code(self.kind, tuple(w.shape), {"q": index.reshape(-1)}, {"scale": scale})

    def refit(self, w, code):
        return code

    @staticmethod
    def _namespace(x):
        return torch if isinstance(x, torch.Tensor) else np

    @staticmethod
    def _decode(code):
        scale, q = code.floats["scale"], code.symbols["q"]
        scale = decode(scale) if isinstance(scale, Code) else scale
        if tuple(scale.shape) != code.shape[:1]:
            raise ValueError(f"{tuple(scale.shape)} scales for {code.shape}")
        q = q.to(scale.dtype) if isinstance(q, torch.Tensor) else q.astype(scale.dtype)
        return q.reshape(code.shape) * scale[:, None]


def gaussian(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("codec", [Steps(), Steps(3), Steps() | Codebook(2), Steps() | Plain()], ids=str)
def test_a_file_gives_back_the_same_bits(codec):
    w = gaussian(6, 20)
    code = codec.encode(w)
    data = code_to_bytes(code)
    again = decode(code_from_bytes(data, w.shape, w.dtype))
    assert again.tobytes() == decode(code).astype(np.float32).tobytes()
    assert code.nbits() == 8 * len(data) == 8 * sum(len(s.data) for s in streams(code))


def test_sparse_then_another_codec():
    w = gaussian(40, 30)
    code = (Sparse(0.9) | Codebook(4)).encode(w)
    inner = Code("rows", (120,), {"q": np.arange(120)}, {})
    assert [s.name for s in streams(replace(code, floats={"values": inner}))] == ["positions", "q"]


@pytest.mark.parametrize("name", [*NAMES, "steps", "a-z"])
def test_names(name):
    reader = Reader(name_bytes(name))
    assert read_name(reader) == name
    reader.end()


def test_a_network_with_a_codec_of_ones_own(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(30, 20), torch.nn.ReLU(), torch.nn.Linear(20, 4))
    attach(model, {"*.weight": Steps(7)})
    nbytes = save(model, tmp_path / "small.safetensors")
    again = load(tmp_path / "small.safetensors", model=bake(model))
    x = torch.randn(5, 30, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again(x), model(x))
    assert nbytes < 680 * 4 / 3  # 680 weights of at most 15 levels: four bits, and the rest


@pytest.mark.parametrize("low", [-70_000, -3, 0, 12, 70_000])
def test_symbols_of_any_offset(low):
    code = Code("steps of a test", (2, 3), {"q": low + np.arange(6)}, {"scale": np.float32([1, 2])})
    again = code_from_bytes(code_to_bytes(code), (2, 3), np.float32)
    assert again.symbols["q"].tolist() == code.symbols["q"].tolist()


def test_symbols_too_far_apart_are_refused():
    code = Code("steps of a test", (1, 2), {"q": np.array([0, 70_000])}, {"scale": np.float32([1])})
    with pytest.raises(ValueError, match="range of the symbols is 70001; allowed: 1 to 65536"):
        code_to_bytes(code)


def test_a_code_that_does_not_fit_is_refused():
    data = code_to_bytes(Steps().encode(gaussian(6, 20)))
    for shape in [(5, 20), (6, 21), (120,), (6, 10)]:
        with pytest.raises(CorruptFileError):
            code_from_bytes(data, shape, np.float32)
    unknown = code_to_bytes(Code("nobody knows it", (3,), {}, {"scale": np.float32([1])}))
    with pytest.raises(CorruptFileError, match="kind is 'nobody knows it'"):
        code_from_bytes(unknown, (3,), np.float32)


def test_codes_within_codes_end_somewhere():
    code = Code("plain", (1,), floats={"values": np.float32([1])})
    for _ in range(6):
        code = Code("steps of a test", (1, 1), {"q": np.array([1])}, {"scale": code})
    with pytest.raises(CorruptFileError, match="more than 4 codes within each other"):
        code_from_bytes(code_to_bytes(code), (1, 1), np.float32)


@quick
@given(at=st.integers(0, 10**6), bits=st.integers(1, 255), cut=st.integers(0, 10**6))
def test_changed_bytes_give_an_array_of_the_shape_or_an_error(at, bits, cut):
    w = gaussian(6, 20)
    data = bytearray(code_to_bytes((Steps() | Codebook(2)).encode(w)))
    data[at % len(data)] ^= bits
    data = data[: cut % len(data)] if cut % 3 == 0 else data
    try:
        again = decode(code_from_bytes(bytes(data), w.shape, w.dtype))
    except CorruptFileError:
        return
    assert to_numpy(again).shape == w.shape
