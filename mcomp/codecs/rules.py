"""Which codec goes on which parameter: what `mcomp.codecs.attach` accepts, and what it refuses by name."""

from fnmatch import fnmatchcase

from mcomp.arrays import bad_value
from mcomp.codecs import Codec
from mcomp.codecs.straight_through import Attached
from mcomp.plain import made_by, places

__all__ = ["check_not_shared", "check_patterns", "check_rules", "first_match"]


def first_match(name, rules):
    return next((codec for pattern, codec in rules.items() if fnmatchcase(name, pattern)), None)


def check_rules(rules):
    if not isinstance(rules, dict) or not rules or not all(isinstance(pattern, str) for pattern in rules):
        raise bad_value("rules", rules, "a dict of pattern to codec such as {'*.weight': Sparse(0.9)}")
    for pattern, codec in rules.items():
        if not isinstance(codec, Codec):
            raise bad_value(f"rules[{pattern!r}]", codec, "a codec such as Sparse(0.9)")


def check_patterns(rules, names, model):
    for pattern in rules:
        for name, maker in _made_elsewhere(model).items():
            if name == pattern or fnmatchcase(name, pattern):
                undo = "remove_parametrizations, remove_weight_norm or prune.remove, of torch.nn.utils"
                allowed = f"a parameter; take off what makes it first: {undo}"
                raise bad_value("a tensor with a codec", f"{name}, made by {maker}", allowed)
        if not any(fnmatchcase(name, pattern) for name in names):
            known = ", ".join(names) or "there is none"
            allowed = f"one that matches a parameter without codec: {known}"
            raise bad_value("a pattern of rules", pattern, allowed)


def _made_elsewhere(model):
    """Tensors that something else than a codec makes at each pass: dict of name to what makes them."""
    found = {}
    for path, module in model.named_modules():
        leaves = {*getattr(module, "parametrizations", {})}
        for hook in module._forward_pre_hooks.values():
            leaves |= {getattr(hook, "_tensor_name", getattr(hook, "name", None))} & {*vars(module)}
        for leaf in sorted(leaves):
            maker = made_by(module, leaf)
            if maker and maker != Attached.__name__:
                found[f"{path}.{leaf}".lstrip(".")] = maker
    return found


def check_not_shared(model, chosen):
    """Elsewhere a shared parameter would stay as it is: the codec holds in one place only."""
    for name in chosen:
        if len(found := places(model, model.get_parameter(name))) > 1:
            untie = f"leave it out, or untie it: {found[-1]} = Parameter({name}.detach().clone())"
            allowed = f"one in one place; it is {', '.join(found)}. {untie}"
            raise bad_value("a parameter with a codec", name, allowed)
