"""A `TinyGPT` as a GGUF file: what llama.cpp, and all that is built on it, open.

The file says "llama", the architecture that TinyGPT has: RMSNorm, a gated MLP, rotary positions. One thing
differs. Ours turns the pairs (i, i + half) of a head, llama's the pairs (2i, 2i + 1), by the same angles; so
the rows of the queries and keys of each head change places, and every product q·k stays what it was.
The bytes are the vocabulary, under the names that GPT-2's tokenizer gives them, without merges.

Only weights are quantized, each matrix in blocks of 32 along its inputs (mcomp/deploy/gguf_blocks.py); the
gains of norms stay in float32. `run` computes in float32 with the weights of the file; llama.cpp rounds what
a quantized matrix multiplies to 8 bits as well, so there its logits are a little different.
"""

import math
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mcomp.arrays import bad_value, check_finite
from mcomp.deploy.checks import check_path
from mcomp.deploy.gguf_blocks import from_q4_0, from_q8_0, half, q4_0, q8_0
from mcomp.deploy.gguf_file import KINDS, parsed, written
from mcomp.deploy.gguf_llama import EPS, KEYS, halved, interleaved, metadata, numbers, places
from mcomp.files import write_atomic
from mcomp.gpt import TinyGPT
from mcomp.plain import naming, own_forward

__all__ = ["export", "from_q4_0", "from_q8_0", "loaded", "q4_0", "q8_0", "read", "run"]


def export(model, path, *, kind="q8_0", example=None, calibration=None):
    """Write a `TinyGPT` for llama.cpp.

    Parameters
    ----------
    model : TinyGPT
        A weight with a codec is written as its codec makes it. Not changed.
    path : path
        Ends in .gguf; its folder exists.
    kind : "q8_0", "q4_0", "f16" or "f32"
        What the matrices become: 8.5, 4.5, 16 or 32 bits a weight.
    example, calibration
        Not needed: activations stay in floats.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        By the layer's name, if it isn't as TinyGPT makes it, holds a NaN, has a number of inputs that 32
        doesn't divide, or a weight that float16 can't hold; or an argument is no good. Nothing is written
        then.
    """
    path = check_path(path, (".gguf",))
    if kind not in KINDS:
        raise bad_value("kind", kind, f"one of {', '.join(KINDS)}")
    if not isinstance(model, TinyGPT):
        raise bad_value("model", type(model).__name__, "a TinyGPT: llama.cpp runs language models")
    if calibration is not None:
        raise bad_value("calibration", "given", "None: only weights are quantized")
    tied = model.head.weight is model.embed.weight
    tensors = {}
    for name, (layer, shape, heads) in places(model.config | {"tied": tied}).items():
        with naming(f"layer {layer}"):
            tensors[name] = _encoded(_weight(model, layer, shape), kind, heads)
    return write_atomic(path, written(metadata(model.config, kind), tensors))


def read(path):
    """The tensors of a GGUF file by the names that they have there, as float32 numpy arrays.

    Kinds: those of `export`. Rows of queries and keys are in the order of the file. The file isn't trusted.

    Raises
    ------
    ValueError
        If it is no such file, cut short or lying about a size, or a tensor holds a NaN or an infinity; the
        message says which.
    """
    return _decoded(*parsed(Path(path).read_bytes()))[1]


def loaded(path):
    """The file as a network: a `TinyGPT` with the weights that the file describes, in evaluation mode.

    Raises
    ------
    ValueError
        As of `read`, or if the tensors aren't those of a TinyGPT.
    """
    told, arrays = _decoded(*parsed(Path(path).read_bytes()))
    model = _outline(told, "output.weight" not in arrays)
    wanted, state = places(model.config), {}
    if {*arrays} != {*wanted}:
        raise bad_value("a tensor of the file", min({*arrays} ^ {*wanted}), "those of a TinyGPT, each once")
    for name, (layer, shape, heads) in wanted.items():
        if arrays[name].shape != shape:
            raise bad_value(f"the shape of {name}", arrays[name].shape, str(shape))
        w = halved(arrays[name], heads) if heads else arrays[name]
        state[f"{layer}.weight"] = torch.from_numpy(w)
    if model.config["tied"]:
        state["head.weight"] = state["embed.weight"]
    model.load_state_dict(state, assign=True)
    if model.config["tied"]:
        model.head.weight = model.embed.weight
    return model


def run(path, x):
    """The logits (n, positions, 256) of bytes `x` (n, positions) by the weights in the file, in float32."""
    with torch.no_grad():
        return loaded(path)(x)


def _outline(told, tied):
    """The network that the metadata tell of, without memory: what a file claims costs nothing."""
    architecture = told.get("general.architecture")
    if architecture != "llama":
        raise bad_value("general.architecture", architecture, "llama")
    with torch.device("meta"):
        model = TinyGPT(**{name: told.get(key) for name, key in KEYS.items()}, tied=tied).eval()
    for key, value in numbers(model.config).items():
        found = told.get(key)
        if not isinstance(found, (int, float)) or not math.isclose(found, value, rel_tol=1e-6):
            raise bad_value(key, found, str(value))
    return model


def _weight(model, name, shape):
    """The weight of a plain layer as a float32 numpy array."""
    layer = dict(model.named_modules(remove_duplicate=False)).get(name)
    plain = isinstance(layer, (nn.Linear, nn.Embedding, nn.RMSNorm)) and getattr(layer, "bias", None) is None
    plain = plain and not (isinstance(layer, nn.Linear) and own_forward(layer)) and layer.weight is not None
    if not plain or layer._forward_hooks or layer._forward_pre_hooks:
        raise bad_value("it", str(layer), "a layer as TinyGPT makes it: no bias, no hooks, no other class")
    if isinstance(layer, nn.RMSNorm) and layer.eps != EPS:
        raise bad_value("its eps", layer.eps, str(EPS))
    if tuple(layer.weight.shape) != shape:
        raise bad_value("the shape of its weight", tuple(layer.weight.shape), str(shape))
    return check_finite("its weight", layer.weight.detach().float().cpu().numpy())


def _encoded(w, kind, heads):
    """(kind, uint8 array (..., bytes of a row)) of one weight."""
    w = interleaved(w, heads) if heads else w
    if w.ndim == 1 or kind == "f32":
        return "f32", np.ascontiguousarray(w, "<f4").view(np.uint8)
    if kind == "f16":
        return kind, np.ascontiguousarray(half(w, "its weights")).view(np.uint8)
    return kind, {"q8_0": q8_0, "q4_0": q4_0}[kind](w)


def _decoded(told, tensors):
    """The same metadata, and each tensor as a float32 array."""
    arrays = {}
    for name, (kind, data) in tensors.items():
        if kind in ("f32", "f16"):
            w = data.view("<f4" if kind == "f32" else "<f2").astype(np.float32)
        else:
            w = {"q8_0": from_q8_0, "q4_0": from_q4_0}[kind](data)
        arrays[name] = check_finite(name, w)
    return told, arrays
