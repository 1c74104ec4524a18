"""What `attach` puts on a parameter: the projection forward, the gradient straight through it backward.

Bengio et al. 2013 (arXiv:1308.3432) pass the gradient of a step function on as if it were the identity. The
values of a codebook get the sum of their weights' gradients (Han et al. 2015, arXiv:1510.00149, section 3).
"""

import io
import math
from dataclasses import replace

import torch

from mcomp.arrays import bad_value
from mcomp.codecs import Code, Sparse, decode
from mcomp.plain import naming

__all__ = ["Attached", "StraightThrough"]

READ = ("plain", "sparse")  # kinds whose values `refit` reads from the weight: no state


class StraightThrough(torch.autograd.Function):
    """Forward `projected`; backward the gradient to `projected` and, where `keep` (None: everywhere), `w`."""

    @staticmethod
    def forward(ctx, projected, w, keep):
        ctx.keep = keep
        return projected.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient, gradient if ctx.keep is None else gradient * ctx.keep, None


class Attached(torch.nn.Module):
    """The parametrization: holds a codec and the code of the weight as it is now, also in its state dict."""

    def __init__(self, codec, w, *, name, refresh, gradient, train_codebook):
        super().__init__()
        self.name = name
        self.codec, self.refresh, self.gradient = codec, refresh, gradient
        self.train_codebook = train_codebook
        self.learned = torch.nn.ParameterList()
        self.stale, self._code, self._keep, self.order = False, None, None, []
        self.set_code(self._encode(w.detach()))
        self.learned.requires_grad_(w.requires_grad)  # what is frozen has no values that learn

    def _encode(self, w, *, start=None):
        with naming(self.name):
            return self.codec.encode(w, start=start)

    def set_code(self, code):
        """Take over another code of the same form: a mask chosen elsewhere, for instance."""
        if _form(code) != _form(self._code or code):
            raise bad_value("the form of the code", _form(code), f"{_form(self._code)}")
        before, self._code = self._code, code.map(lambda x: x.detach())
        if self.gradient != "masked":
            self._keep = None
        elif self._keep is None or not _same_support(before, self._code):
            self._keep = _support(self._code)
        if not self.train_codebook:
            return
        values = list(_codebooks(self._code))
        if [p.shape for p in self.learned] == [x.shape for x in values]:
            for parameter, x in zip(self.learned, values, strict=True):
                parameter.data.copy_(x)  # an optimiser may hold the parameter already
        else:
            free = all(p.requires_grad for p in self.learned)
            self.learned = torch.nn.ParameterList(values).requires_grad_(free)

    def code(self, w):
        """The code of the weight: symbols as last assigned, floats from `w` and the learned codebook."""
        learned = iter(self.learned)
        return _with_codebooks(self.codec.refit(w, self._code), lambda x: next(learned, x))

    def reassign(self, w):
        """Choose the symbols anew for `w`; learned values stay."""
        with torch.no_grad():
            start = self.code(w.detach()) if len(self.learned) else None
            self.set_code(self._encode(w.detach(), start=start))
        self.stale = False

    def get_extra_state(self):
        """The code as bytes in a tensor: which weights stay, and all that can't be read off the others."""
        file = io.BytesIO()
        torch.save(_packed(self._code), file)
        return torch.frombuffer(bytearray(file.getvalue()), dtype=torch.uint8)

    def set_extra_state(self, state):
        """Take over the code of a state dict, on the device and in the dtype of the present one."""
        packed = torch.load(io.BytesIO(state.cpu().numpy().tobytes()), weights_only=True)
        like = next(_arrays(self._code), torch.zeros(()))
        with naming(self.name):
            self.set_code(_unpacked(packed, like))

    def train(self, mode=True):
        """As for every module; under ``refresh="epoch"`` the next forward pass chooses the symbols anew."""
        self.stale = self.stale or (mode and self.refresh == "epoch")
        return super().train(mode)

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)  # model.to(...): what is no parameter goes along
        self._code = self._code.map(fn, symbols=fn)
        self._keep = None if self._keep is None else fn(self._keep)
        return self

    def forward(self, w):
        """What the codec makes of `w`: the symbols as last assigned, or assigned now."""
        if self.training and torch.is_grad_enabled() and (self.stale or self.refresh == "step"):
            self.reassign(w)
        if self.gradient == "masked" and type(self.codec) is Sparse:
            return w * self._keep  # the same tensor and the same gradient in one pass
        return StraightThrough.apply(decode(self.code(w.detach())), w, self._keep)


def _form(code):
    """What no new assignment changes: the kinds of a code and of those in it, and its shape."""
    inner = {name: _form(x)[0] for name, x in code.floats.items() if isinstance(x, Code)}
    return {code.kind: inner} if inner else code.kind, tuple(code.shape)


def _packed(code):
    """A code as dicts of tensors, for `torch.save`, less the values that are read from the weight anyway."""
    kept = {name: x for name, x in code.floats.items() if code.kind not in READ or isinstance(x, Code)}
    floats = {name: _packed(x) if isinstance(x, Code) else x.clone() for name, x in kept.items()}
    # clones: a view would be saved with all that lies behind it
    symbols = {name: x.clone() for name, x in code.symbols.items()}
    return {"kind": code.kind, "shape": list(code.shape), "symbols": symbols, "floats": floats}


def _unpacked(packed, like):
    """Inverse of `_packed`, on the device and in the dtype of `like`."""
    symbols = {name: x.to(like.device) for name, x in packed["symbols"].items()}
    floats = {
        n: _unpacked(x, like) if isinstance(x, dict) else x.to(like) for n, x in packed["floats"].items()
    }
    if packed["kind"] in READ and not floats:
        n = len(symbols["positions"]) if symbols else math.prod(packed["shape"])
        floats["values"] = like.new_zeros(n)
    return Code(packed["kind"], tuple(packed["shape"]), symbols, floats)


def _arrays(code):
    """The float arrays in a code."""
    for x in code.floats.values():
        yield from _arrays(x) if isinstance(x, Code) else (x,)


def _same_support(before, code):
    """Whether it is sure, from one array of positions and no sparse code within, that both keep the same."""
    if before is None or not before.kind == code.kind == "sparse":
        return False
    described = [x.kind for c in (before, code) for x in c.floats.values() if isinstance(x, Code)]
    return before.symbols["positions"] is code.symbols["positions"] and "sparse" not in described


def _support(code):
    """1 where the code keeps a weight, as a float tensor of its shape and dtype; None if it keeps all."""
    if code.kind != "sparse":
        return None
    values = code.floats["values"]
    described = isinstance(values, Code)
    kept = _support(values) if described else None
    if kept is None:
        kept = torch.ones_like(decode(values) if described else values)
    return decode(replace(code, floats={"values": kept}))


def _codebooks(code):
    """The float values of every codebook in a code."""
    for name, x in code.floats.items():
        if isinstance(x, Code):
            yield from _codebooks(x)
        elif name == "centroids":
            yield x


def _with_codebooks(code, function):
    """`code` with `function` applied to all that `_codebooks` gives."""
    floats = dict(code.floats)
    for name, x in floats.items():
        if isinstance(x, Code):
            floats[name] = _with_codebooks(x, function)
        elif name == "centroids":
            floats[name] = function(x)
    return replace(code, floats=floats)
