"""What a codec gives and what all codecs share: `Code`, `decode`, `Codec`, and ``A | B``.

The codecs themselves, which a caller imports with these from there, are in mcomp/codecs/.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import ClassVar

from mcomp.arrays import bad_value, size

__all__ = ["Chain", "Code", "Codec", "codec_of", "decode", "payload_of"]

_KINDS = {}  # kind -> the class of its codec, filled by mcomp/codecs/


@dataclass(frozen=True, eq=False)
class Code:
    """A described tensor: integer symbols, and the float numbers that go with them.

    Attributes
    ----------
    kind : str
        The codec that reads it: "plain", "sparse", "codebook", ...
    shape : tuple of int
        Of the decoded tensor.
    symbols : dict of str to int64 array (n,)
        What is entropy coded.
    floats : dict of str to array, or to the Code of it
        Side information and payload.
    """

    kind: str
    shape: tuple
    symbols: dict = field(default_factory=dict)
    floats: dict = field(default_factory=dict)

    def nbits(self):
        """Bits of the bytes that a file holds for this code: symbols, tables, side information, lengths."""
        from mcomp.codecs.codes import code_to_bytes

        return 8 * len(code_to_bytes(self))

    def map(self, floats, *, symbols=lambda x: x):
        """The same code with a function applied to every float array and one to every array of symbols."""
        inner = {
            name: x.map(floats, symbols=symbols) if isinstance(x, Code) else floats(x)
            for name, x in self.floats.items()
        }
        return replace(self, symbols={name: symbols(x) for name, x in self.symbols.items()}, floats=inner)


def decode(code):
    """The tensor that `code` describes; gradients flow to its float arrays."""
    if not isinstance(code, Code):
        raise bad_value("code", code, "a Code, as encode gives it")
    inner = {name: decode(x) if isinstance(x, Code) else x for name, x in code.floats.items()}
    return codec_of(code.kind)._decode(replace(code, floats=inner))


def codec_of(kind):
    """The class whose codes carry `kind`."""
    if kind not in _KINDS:
        raise bad_value("kind", kind, f"one of {', '.join(_KINDS)}")
    return _KINDS[kind]


def payload_of(code, name):
    """The float array `name` of a code, decoded if another codec describes it."""
    x = code.floats[name]
    return decode(x) if isinstance(x, Code) else x


class Codec(ABC):
    """What all codecs share. `payload` names the float array that the right side of ``A | B`` describes."""

    kind: ClassVar[str]
    payload: ClassVar[str]

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if isinstance(vars(cls).get("kind"), str):
            _KINDS[cls.kind] = cls

    @abstractmethod
    def encode(self, w, *, start=None):
        """Describe `w`, a finite float array of any shape.

        `start` is an earlier code of the same kind: what it learned (a codebook's values) is kept, and only
        the assignment of the weights is made again.
        """

    def decode(self, code):
        """The tensor that `code` describes: same shape, library and device as the one encoded.

        Gradients flow to the float arrays of `code`, under torch.
        """
        return decode(code)

    def project(self, w):
        """The nearest tensor to `w`, in the least squares sense, that this codec can describe."""
        return self.decode(self.encode(w))

    @abstractmethod
    def refit(self, w, code):
        """`code` with its symbols kept and its float numbers read from `w` anew."""

    def __or__(self, other):
        """``A | B``: B describes the float numbers that A leaves."""
        return Chain(self, other)


@dataclass(frozen=True)
class Chain(Codec):
    """``first | then``: `then` describes the float payload that `first` leaves."""

    first: Codec
    then: Codec

    def __post_init__(self):
        for part in (self.first, self.then):
            if not isinstance(part, Codec):
                raise bad_value("a side of |", part, "a codec such as Sparse(0.9)")

    def __or__(self, other):
        return Chain(self.first, self.then | other)  # A | B | C: C describes what B leaves

    @property
    def kind(self):
        return self.first.kind

    @property
    def payload(self):
        return self.first.payload

    def encode(self, w, *, start=None):
        outer = self.first.encode(w, start=start)
        return self._describe(outer, lambda values, old: self.then.encode(values, start=old), start)

    def refit(self, w, code):
        return self._describe(self.first.refit(w, code), self.then.refit, code)

    def _describe(self, outer, describe, old):
        values = payload_of(outer, self.payload)
        if size(values) == 0:  # Sparse(1.0) leaves nothing to describe
            return outer
        before = None if old is None else old.floats[self.payload]
        return replace(outer, floats={**outer.floats, self.payload: describe(values, before)})
