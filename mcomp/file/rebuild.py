"""Which network a file is of: what `save` writes about it, and how `load` builds it again.

The metadata of a file, all text: the "architecture" (a name of `mcomp.architectures`, or empty), or a
"factory" (``package.module:function``), its "config" as JSON, its "dtype" unless that is float32, and what
surgery has "made" of it since, as JSON (`mcomp.made`), with the entries that stay as bits in hexadecimal.
Nothing is imported because a file says so: a name must be registered, a factory named by who opens the file.
"""

import copy
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import torch

from mcomp.architectures import ARCHITECTURES, architecture, check_config, imported, registered
from mcomp.arrays import bad_value
from mcomp.coding.bits import CorruptFileError
from mcomp.made import made, replay

__all__ = ["Blueprint", "NeedsModelError", "blueprint", "describe", "digest", "fitted", "sketched"]

FLOAT, DTYPES = "float32", ("float32", "float64", "float16", "bfloat16")
MAX_MADE = 40_000  # characters of the header, which holds 65,536


class NeedsModelError(ValueError):
    """The file is whole, but which network it is of must be said: the message names what to pass."""


@dataclass(frozen=True)
class Blueprint:
    """How to build a network to fill: `make` one fresh from its class, then do the `steps` of surgery."""

    make: Any
    dtype: str | None
    steps: list

    def build(self, device="cpu", max_weights=None):
        """The network on `device`, no random number drawn; on "meta" it takes no memory."""
        with torch.random.fork_rng(devices=[]), torch.device(device), _Depths():
            network = self.make()
            if not isinstance(network, torch.nn.Module):
                raise bad_value("what the factory returns", type(network).__name__, "a torch.nn.Module")
            check_size(network, max_weights)
            if self.dtype is not None:
                network = network.to(getattr(torch, self.dtype))
            return check_size(replay(network, self.steps), max_weights)


class _Depths(torch.overrides.TorchFunctionMode):
    """Also on "meta" a short `torch.linspace` has values: vision transformers read their depths off it."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        steps = args[2] if len(args) > 2 else kwargs.get("steps")
        if func is torch.linspace and isinstance(steps, int) and steps <= 1000:
            kwargs = {"device": "cpu", **kwargs}
        return func(*args, **kwargs)


def check_size(network, max_weights):
    total = sum(tensor.numel() for tensor in network.state_dict().values())
    if max_weights is not None and total > max_weights:
        raise CorruptFileError(
            f"the file claims {total:,} weights; allowed: {max_weights:,} (see max_weights)"
        )
    return network


def digest(state):
    """Four bytes that change with a name, a shape or a dtype of a state dict."""
    named = [(name, list(tensor.shape), str(tensor.dtype)) for name, tensor in state.items()]
    return hashlib.blake2b(json.dumps(named).encode(), digest_size=4).digest()


def blueprint(metadata, *, factory=None):
    """The `Blueprint` of the network that a file's metadata name.

    Raises
    ------
    NeedsModelError
        If there is none, a name isn't registered here, or a factory isn't the one given.
    CorruptFileError
        If the metadata are none that `describe` writes.
    """
    given = None if factory is None else imported(factory)
    try:
        config, dtype = json.loads(metadata["config"]), metadata.get("dtype", FLOAT)
        if dtype not in DTYPES:
            raise bad_value("dtype", dtype, f"one of {', '.join(DTYPES)}")
        make = given if _trusted(metadata, factory) else registered()[metadata["architecture"]]
        return Blueprint(lambda: make(**config), dtype, steps(metadata))
    except NeedsModelError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise unbuildable(metadata, error) from None


def sketched(metadata, *, factory=None, max_weights=None):
    """The `blueprint`, and the network that it makes without memory, of at most so many weights."""
    plan = blueprint(metadata, factory=factory)
    try:
        return plan, plan.build("meta", max_weights)
    except CorruptFileError:
        raise
    except Exception as error:  # whatever a class's own code raises on such a config
        raise unbuildable(metadata, error) from None


def unbuildable(metadata, error):
    named = str(metadata.get("factory") or metadata.get("architecture"))[:40]
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return CorruptFileError(f"the network {named!r} can't be built: {reason[:200]}")


def steps(metadata):
    """The steps of surgery that a file names, as `mcomp.made.replay` takes them."""
    text = metadata.get("made", "[]")
    if len(text) > MAX_MADE:
        raise bad_value("the length of 'made'", len(text), f"up to {MAX_MADE:,}")
    found = json.loads(text)
    if not isinstance(found, list):
        raise bad_value("made", type(found).__name__, "a list")
    return _kept_as(_unpacked, found)


def _trusted(metadata, factory):
    """True if file and caller name this factory, False for a registered class; else it raises."""
    name, named = metadata["architecture"], str(metadata.get("factory", ""))[:200]
    if factory is not None:
        if factory != named:
            held = f"names the factory {named!r}" if named else "names no factory"
            raise NeedsModelError(f"the file {held}, not {factory!r}: pass load(path, model=...) one to fill")
        return True
    if named:
        asked = f"load(path, factory={named!r}) if you trust that code, or load(path, model=...)"
        raise NeedsModelError(f"the network is made by the factory {named!r}: pass {asked}")
    if not name:
        why = str(metadata.get("why", "its class isn't registered, or it was changed since"))[:300]
        raise NeedsModelError(f"the file names no network ({why}): pass load(path, model=...) one to fill")
    if name not in registered():
        needed = f"import the module with @mcomp.register({name!r}) first, or pass load(path, model=...)"
        raise NeedsModelError(f"the network {name!r} isn't registered in this process: {needed}")
    return False


def describe(plain, *, factory=None, config=None):
    """The metadata from which `blueprint` builds a network like `plain`.

    No name where that would be another network: it was changed since its class made it. Then a file opens
    with ``model=``, and what surgery made of it is noted for one fresh from its class.

    Raises
    ------
    ValueError
        If `factory` makes another network, or its class has a name and can't be built from its `config`.
    """
    name, sizes = architecture(plain) if factory is None else ("", check_config("config", config or {}))
    done = json.dumps(_kept_as(_packed, made(plain)), separators=(",", ":"))
    found = {} if done == "[]" or len(done) > MAX_MADE else {"made": done}
    unnamed = {"architecture": "", "config": "{}"}
    if not name and factory is None:
        return {**unnamed, **found}
    named = {"architecture": name, **({"factory": factory} if factory else {})}
    named["config"] = json.dumps(sizes, separators=(",", ":"))
    dtype = next((str(p.dtype).removeprefix("torch.") for p in plain.parameters()), FLOAT)
    named |= found if dtype == FLOAT else {"dtype": dtype, **found}
    why = _other(named, plain, factory)
    if why and factory is not None:
        raise bad_value("factory", factory, f"one that makes the network to be saved; {why}")
    return unnamed | {"why": why} if why and name not in ARCHITECTURES else unnamed if why else named


def _other(metadata, plain, factory):
    """Why a network as these metadata say is none like `plain`; empty if it is."""
    if metadata.get("dtype", FLOAT) not in DTYPES:
        return f"its first parameter is {metadata['dtype']}"
    again, made_by = blueprint(metadata, factory=factory), factory or metadata["architecture"]
    try:
        alike = _alike(again.build("meta"), plain)
        return "" if alike else f"it was changed after {made_by} made it"
    except Exception as error:  # whatever a class's own code raises
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
    try:
        again.build()
    except Exception:
        raise bad_value(f"the config of {made_by}", metadata["config"], f"one it takes ({reason})") from None
    return f"{made_by} can't be built without memory, on the device 'meta' ({reason})"


def _alike(a, b):
    """Whether two networks have the same layers by name and options, and tensors of the same shapes."""
    return str(a) == str(b) and digest(a.state_dict()) == digest(b.state_dict())


def fitted(model, held, metadata):
    """The `Blueprint` of a network with the digest `held` from `model`, and a network of its shape.

    A copy of `model` if it fits as it is; else one with the surgery of the file done to it.
    """
    if digest(model.state_dict()) == held:
        return Blueprint(lambda: copy.deepcopy(model), None, []), model
    limit = 65_536 + 2 * sum(tensor.numel() for tensor in model.state_dict().values())
    try:
        done = steps(metadata)
        sketch = Blueprint(lambda: copy.deepcopy(model).to("meta"), None, done).build("meta", limit)
        if digest(sketch.state_dict()) == held:
            return Blueprint(lambda: copy.deepcopy(model), None, done), sketch
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, RecursionError, OverflowError):
        pass  # the steps are those of another network
    surgery = ", nor are they after the surgery that it names" if metadata.get("made") else ""
    reason = f"the names, shapes and dtypes of this network's {len(model.state_dict())} tensors aren't"
    raise NeedsModelError(f"{reason} the file's{surgery}: pass load(path, model=...) the network saved")


def _kept_as(form, found):
    """Steps whose rows of axes that stay have another form; anything else as it is."""
    return [
        [place, kind, {"axes": [form(row) for row in data["axes"]]}]
        if kind == "keep"
        else [place, kind, data]
        for place, kind, data in found
    ]


def _packed(row):
    bits = sum(1 << i for i in row["kept"])
    return [row["of"], f"{bits:x}", row["tensors"]]


def _unpacked(row):
    of, bits, tensors = row
    kept = [i for i, bit in enumerate(f"{int(bits, 16):b}"[::-1]) if bit == "1"]
    return {"of": of, "kept": kept, "tensors": tensors}
