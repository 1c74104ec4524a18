"""Small changes to a function's source, one at a time, for the mutation test of the exercises' checks."""

import ast
import copy

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
}  # fmt: skip
OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult, ast.FloorDiv: ast.Div,
}  # fmt: skip


def name_of(call):
    """The last name of what is called: abs for abs(x), np.abs(x) and x.abs()."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def changes(node):
    """Every replacement of one syntax node: comparisons, abs, axes, off by one, operators, slices, signs."""
    if isinstance(node, ast.Compare):
        for other in COMPARISONS.get(type(node.ops[0]), ()):
            yield ast.Compare(node.left, [other(), *node.ops[1:]], node.comparators)
    elif isinstance(node, ast.Call):
        if name_of(node) in ("abs", "absolute", "fabs") and (
            node.args or isinstance(node.func, ast.Attribute)
        ):
            yield node.args[0] if node.args else node.func.value
        for i, keyword in enumerate(node.keywords):
            if keyword.arg in ("axis", "dim"):
                yield from swapped_axis(node, i)
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        yield node.value
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield ast.Constant(node.value + 1)
        yield ast.Constant(node.value - 1)
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        yield ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)
    elif isinstance(node, ast.Slice) and (node.lower is None) != (node.upper is None):
        yield ast.Slice(node.upper, node.lower, node.step)
        for step in (ast.Add, ast.Sub):
            off = ast.BinOp(node.upper or node.lower, step(), ast.Constant(1))
            yield ast.Slice(node.lower and off, node.upper and off, node.step)


def swapped_axis(call, i):
    """The call with its axis left out, and with the other axis."""
    axis = getattr(call.keywords[i].value, "value", None)
    rest = call.keywords[:i] + call.keywords[i + 1 :]
    yield ast.Call(call.func, call.args, rest)
    if axis is not None:
        other = ast.keyword(call.keywords[i].arg, ast.Constant(1 - axis if axis in (0, 1) else 0))
        yield ast.Call(call.func, call.args, [*rest, other])


def mutants(source, name):
    """The sources in which the function `name` differs from `source` by one change."""
    tree = ast.parse(source)
    count = len(list(ast.walk(function_in(tree, name))))
    found = []
    for i in range(count):
        original = list(ast.walk(function_in(tree, name)))[i]
        for j in range(len(list(changes(original)))):
            twin = copy.deepcopy(tree)
            function = function_in(twin, name)
            node = list(ast.walk(function))[i]
            Replace(node, list(changes(node))[j]).visit(function)
            found.append(ast.unparse(ast.fix_missing_locations(twin)))
    return list(dict.fromkeys(found))


def function_in(tree, name):
    return [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name][-1]


class Replace(ast.NodeTransformer):
    def __init__(self, old, new):
        self.old, self.new = old, new

    def visit(self, node):
        return self.new if node is self.old else self.generic_visit(node)
