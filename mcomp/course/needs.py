"""What an answer needs of its notebook: imports, functions, classes, values, and what these need.

Of several definitions of a name the last one above the reader counts, as in a kernel that ran all cells in
order; if there is none above, the first below. The reader of what a function refers to is the answer that
calls it; all else is read where it stands, so ``w = w / 2`` takes along the ``w`` above it.
"""

import ast
import builtins
import symtable

CHANGING = ("add", "append", "extend", "insert", "pop", "remove", "reverse", "setdefault", "sort", "update")
AT_ONCE = ("listcomp", "genexpr", "setcomp", "dictcomp")  # scopes that run where they stand
BLOCKS = (ast.If, ast.Try, ast.With, ast.For, ast.While)
KNOWN = {*dir(builtins), "display"}
PARTS = ("body", "orelse", "finalbody", "handlers")
FUTURE = "from __future__ import annotations"


class Statements:
    """The statements of a notebook, in order; each is looked at once, however many answers need it."""

    def __init__(self, nodes):
        self.nodes, self.binds, self.places = nodes, [binds(node) for node in nodes], {}
        for at, names in enumerate(self.binds):
            for name in names:
                self.places.setdefault(name, []).append(at)
        self._texts, self._needs = {}, {}

    def complete(self, at):
        """The source of statement `at` with all that it needs, in the notebook's order, itself last."""
        taken, asked, wanted = set(), set(), self._wanted(at, at)
        while wanted := wanted - asked:
            asked |= wanted
            news = {place for name, reader in wanted for place in self._places(name, reader, at)} - taken
            taken |= news
            wanted = {pair for place in news - {at} for pair in self._wanted(place, at)}
        known = {name for place in taken | {at} for name in self.binds[place]} | KNOWN
        if {name for name, _ in asked} - known:  # it may come from `from numpy import *`
            taken |= set(self.places.get("*", ()))
        first = [FUTURE] if any(_is_future(node) for node in self.nodes) else []
        return "\n\n".join([*first, *(self._text(i) for i in [*sorted(taken - {at}), at])]) + "\n"

    def _wanted(self, place, at):
        """Pairs (name, the statement that reads it)."""
        if place not in self._needs:
            self._needs[place] = needs(self.nodes[place], self._text(place))
        now, later = self._needs[place]
        return {(name, place) for name in now} | {(name, at) for name in later}

    def _text(self, place):
        if place not in self._texts:
            self._texts[place] = ast.unparse(self.nodes[place])
        return self._texts[place]

    def _places(self, name, reader, at):
        """Where `name` is defined for that reader; every import that binds it."""
        found = self.places.get(name, [])
        if not found or (reader == at and at in found):
            return []
        above = [i for i in found if i < reader]
        chosen = above[-1] if above else found[0]
        if not isinstance(self.nodes[chosen], ast.Import):
            return [chosen]
        return [i for i in found if isinstance(self.nodes[i], ast.Import)]


def binds(node):
    """The names that a statement at the top level defines or changes, if it is of a kind that is taken over.

    >>> binds(ast.parse("a[0], b.c, d = 1, 2, 3").body[0]) == {"a", "b", "d"}
    True
    >>> binds(ast.parse("print(a := 1)").body[0])
    set()
    """
    names, todo = set(), [node]
    while todo:  # no recursion: a chain of elif may be long
        node = todo.pop()
        todo += (
            [child for part in PARTS for child in _listed(getattr(node, part, None))]
            if _is_block(node)
            else []
        )
        names |= _bound(node)
    return names


def _is_block(node):
    return isinstance(node, (*BLOCKS, ast.ExceptHandler))


def _bound(node):
    """The names that the statement itself binds, but for those in the statements under it."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return _imported(node)
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, ast.Assign):
        return _targets(node.targets)
    if isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.For)):
        return _targets([node.target])
    if isinstance(node, ast.With):
        return _targets([item.optional_vars for item in node.items])
    return _changed(node)


def _changed(node):
    """The name that a call such as ``names.append(1)`` changes."""
    call = node.value if isinstance(node, ast.Expr) else None
    method = call.func if isinstance(call, ast.Call) else None
    if isinstance(method, ast.Attribute) and method.attr in CHANGING:
        return _targets([method.value])
    return set()


def _imported(node):
    if isinstance(node, ast.Import):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    return set() if _is_future(node) else {alias.asname or alias.name for alias in node.names}


def _is_future(node):
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _listed(x):
    return x if isinstance(x, list) else []


def _targets(targets):
    """The names under the targets of an assignment; of ``a[i].b`` it is a."""
    names, todo = set(), list(targets)
    while todo:
        target = todo.pop()
        if isinstance(target, ast.Name):
            names.add(target.id)
        elif isinstance(target, (ast.Tuple, ast.List)):
            todo += target.elts
        elif isinstance(target, (ast.Attribute, ast.Subscript, ast.Starred)):
            todo.append(target.value)
    return names


def needs(node, text):
    """``(now, later)``: the names that a statement refers to at once, and when what it defines is called."""
    now, later = set(), set()
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return now, later
    if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        now |= {
            n for part in ast.walk(node) if isinstance(part, ast.AugAssign) for n in _targets([part.target])
        }
    tables = [(symtable.symtable(text, "<answer>", "exec"), True)]
    while tables:
        table, at_once = tables.pop()
        top = table.get_type() == "module"
        names = {s.get_name() for s in table.get_symbols() if (s.is_referenced() if top else s.is_global())}
        (now if at_once else later).update(names)
        inner = table.get_children()
        tables += [(t, at_once and (t.get_type() == "class" or t.get_name() in AT_ONCE)) for t in inner]
    return now, later
