"""Put a codec on a parameter, so that any training loop fine-tunes the compressed network; then bake it.

`attach` registers `torch.nn.utils.parametrize` parametrizations: ``layer.weight`` becomes the nearest
tensor that the codec can describe, while ``layer.parametrizations.weight.original`` learns. How the gradient
gets there: mcomp/codecs/straight_through.py.
"""

import copy

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils import parametrize

from mcomp.arrays import bad_value
from mcomp.codecs import decode
from mcomp.codecs.activations import ActivationGrid, activation_rules, put_activations, remove_activations
from mcomp.codecs.rules import check_not_shared, check_patterns, check_rules, first_match
from mcomp.codecs.straight_through import Attached

__all__ = ["Attached", "attach", "attached", "bake", "code_of", "codes", "outline", "own_class"]

REFRESH = ("step", "epoch", "never")
GRADIENT = ("masked", "dense")


def attach(
    model, rules, *, refresh="step", gradient="masked", train_codebook=True, activation=ActivationGrid
):  # fmt: skip
    """Compress parameters of `model` in place, by name, so that further training repairs the loss.

    A pattern that ends in ``.input`` or ``.output`` quantizes activations, see mcomp/codecs/activations.py.

    Parameters
    ----------
    model : torch.nn.Module
    rules : dict of pattern to Codec
        ``{"*.weight": Sparse(0.9), "fc3.*": Codebook(16)}``; names of parameters, and shell patterns on them:
        the name itself holds, else the first pattern that matches. Each must match one that has no codec yet.
    refresh : "step", "epoch" or "never"
        When the symbols (which weights stay, which value each takes) are chosen anew: at each forward pass
        in training, at the first one after ``model.train()``, or never.
    gradient : "masked" or "dense"
        Whether a weight that is set to zero gets a gradient, and may come back.
    train_codebook : bool
        Whether codebook values are parameters that learn.
    activation : callable
        ``activation(codec)`` makes the module that quantizes an activation.

    Returns
    -------
    attached : dict of parameter name to `Attached`, and of activation name to its module

    Raises
    ------
    ValueError
        If an option is unknown, a pattern matches nothing that is free, a value is no codec, or a parameter
        is empty, not finite, used in two places, or made by something else (weight_norm, a mask of
        `torch.nn.utils.prune`). The message names it; the model is then as it was.

    Examples
    --------
    >>> from mcomp.codecs import Sparse
    >>> layer = torch.nn.Linear(4, 4)
    >>> _ = attach(layer, {"weight": Sparse(0.75)})
    >>> int((layer.weight != 0).sum()), int((bake(layer).weight != 0).sum())
    (4, 4)
    """
    for name, value, allowed in (("refresh", refresh, REFRESH), ("gradient", gradient, GRADIENT)):
        if value not in allowed:
            raise bad_value(name, value, f"one of {', '.join(allowed)}")
    check_rules(rules)
    names = [name for name, _ in model.named_parameters() if "parametrizations." not in name]
    literal = {name: codec for name, codec in rules.items() if name in names}
    rules, outer = activation_rules({p: codec for p, codec in rules.items() if p not in literal})
    check_patterns(rules, names, model)
    chosen = {name: codec for name in names if (codec := literal.get(name) or first_match(name, rules))}
    check_not_shared(model, chosen)
    options = {"refresh": refresh, "gradient": gradient, "train_codebook": train_codebook}
    made = {name: _made(codec, name, model, options) for name, codec in chosen.items()}
    activations = put_activations(model, outer, activation)
    for name, parametrization in made.items():
        parametrization.order = _parameter_order(_owner(model, name)[0])
    for name, parametrization in made.items():
        module, leaf = _owner(model, name)
        own_class(module)
        parametrization.refresh = "never"  # registering calls it: no second and third search for a code
        parametrize.register_parametrization(module, leaf, parametrization)
        parametrization.refresh = refresh
        if isinstance(module, nn.RNNBase) and _forget not in module._forward_hooks.values():
            module.register_forward_hook(_forget)
    return made | activations


def _forget(module, inputs, output):
    """A recurrent layer keeps a list of its weights; with their history in it, it couldn't be copied."""
    module._flat_weights = [w if w is None else w.detach() for w in module._flat_weights]


def _parameter_order(module):
    """The names of a module's own parameters, in the order that they had before any got a codec."""
    chains = getattr(module, "parametrizations", {}).values()
    return next((chain[0].order for chain in chains if isinstance(chain[0], Attached)), [*module._parameters])


def own_class(module):
    """Undo what copies share: torch keeps the names of a module's parametrised tensors in its class.

    After ``copy.deepcopy`` two modules have that class, and a change of one would break the other.
    """
    if parametrize.is_parametrized(module):
        cls = type(module)
        members = {name: x for name, x in vars(cls).items() if name not in ("__dict__", "__weakref__")}
        module.__class__ = type(cls.__name__, cls.__bases__, members)


def _made(codec, name, model, options):
    p = model.get_parameter(name)
    if isinstance(p, UninitializedParameter):
        raise bad_value("a parameter with a codec", f"{name}, not initialised", "one that has seen an input")
    return Attached(codec, p, name=name, **options)


def _owner(model, name):
    path, _, leaf = name.rpartition(".")
    return model.get_submodule(path), leaf


def attached(model):
    """The parametrizations that `attach` put on `model`: dict of parameter name to `Attached`."""
    found = {}
    for path, module in model.named_modules():
        for leaf, chain in getattr(module, "parametrizations", {}).items():
            if isinstance(chain[0], Attached):
                found[f"{path}.{leaf}".lstrip(".")] = chain[0]
    return found


def codes(model):
    """The code of every parameter with a codec, as a file would hold it: dict of parameter name to Code."""
    return {name: code_of(model, name) for name in attached(model)}


def code_of(model, name):
    """The code of one parameter with a codec."""
    module, leaf = _owner(model, name)
    return module.parametrizations[leaf][0].code(_original(model, name)).map(lambda x: x.detach())


def _original(model, name):
    module, leaf = _owner(model, name)
    return module.parametrizations[leaf].original.detach()


def bake(model, *, keep_activations=False):
    """Make `model` plain again, in place: each parameter holds what its codec made of it. Returns `model`.

    Modules that quantize activations are removed, since their rounding is work at run time and no parameter,
    unless `keep_activations`: so `mcomp.save` writes them.
    """
    if not keep_activations:
        remove_activations(model)
    for name, code in codes(model).items():
        value = decode(code)
        _take_off(model, name)
        with torch.no_grad():
            model.get_parameter(name).copy_(value)
    return model


def _take_off(model, name):
    """Remove the codec of a parameter, in place; the parameter then is what the codec was given."""
    module, leaf = _owner(model, name)
    order = _parameter_order(module)
    own_class(module)
    if len(module.parametrizations[leaf]) > 1:
        others = ", ".join(type(x).__name__ for x in list(module.parametrizations[leaf])[1:])
        allowed = "one with nothing behind its codec"
        raise bad_value("a tensor with a codec", f"{name}, then {others}", allowed)
    parametrize.remove_parametrizations(module, leaf, leave_parametrized=False)
    if isinstance(module, nn.RNNBase) and not parametrize.is_parametrized(module):
        hooks = module._forward_hooks
        hooks.pop(next(key for key, hook in hooks.items() if hook is _forget))
        module._init_flat_weights()
    for other in order:  # else the parameter would now be the last of its module
        if other in module._parameters:
            module._parameters[other] = module._parameters.pop(other)


def outline(model):
    """A copy of `model` without codecs that shares its memory, for reading: (copy, names with a codec).

    The parameters with a codec hold there what the codec was given; what it makes of it is `codes`.

    Raises
    ------
    ValueError
        If a layer computes one of its weights before each pass, as torch.nn.utils.prune does.
    """
    for path, module in model.named_modules():
        computed = [name for name, x in vars(module).items() if torch.is_tensor(x) and not x.is_leaf]
        hooks = [getattr(hook, "_tensor_name", None) for hook in module._forward_pre_hooks.values()]
        for name in filter(None, [*hooks, *computed]):
            call = f"torch.nn.utils.prune.remove(layer, {name!r})"
            allowed = f"a parameter: call {call} first, or what undoes the hook that computes it"
            raise bad_value(f"{path}.{name}".lstrip("."), "computed anew before each pass", allowed)
    shared = [*model.parameters(), *model.buffers(), *(a for a in attached(model).values())]
    copied = copy.deepcopy(model, {id(x): x for x in shared})
    names = [*attached(copied)]
    for name in names:
        _take_off(copied, name)
    return copied, names
