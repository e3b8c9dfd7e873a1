"""Small changes of a function, as a reader's slip or a tool for mutation testing would make them, one at a time."""

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable, Iterator

BINARY = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
COMPARE = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
CALLS = {
    "amax": "amin",
    "amin": "amax",
    "sum": "mean",
    "mean": "sum",
    "exp": "log1p",
    "tanh": "sigmoid",
    "softmax": "log_softmax",
    "tril": "triu",
    "triu": "tril",
    "sin": "cos",
    "cos": "sin",
    "argmax": "argmin",
    "max": "min",
    "min": "max",
    "sqrt": "log",
    "cumsum": "flip",
    "any": "all",
    "all": "any",
    "zeros": "ones",
    "ones": "zeros",
}


def _changes(node: ast.AST) -> Iterator[tuple[str, Callable[[ast.AST], ast.AST]]]:
    """What can be done to this node: a name, and a function that changes a copy of it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"{node.value} -> {not node.value}", lambda n: ast.Constant(not n.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield f"{node.value} + 1", lambda n: ast.Constant(n.value + 1)
        yield f"{node.value} - 1", lambda n: ast.Constant(n.value - 1)
    elif isinstance(node, ast.BinOp):
        if type(node.op) in BINARY:
            yield f"{type(node.op).__name__} changed", lambda n: ast.BinOp(n.left, BINARY[type(n.op)](), n.right)
        yield f"left of {type(node.op).__name__} alone", lambda n: n.left
        yield f"right of {type(node.op).__name__} alone", lambda n: n.right
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARE:
        yield (
            "comparison changed",
            lambda n: ast.Compare(n.left, [COMPARE[type(n.ops[0])](), *n.ops[1:]], n.comparators),
        )
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert | ast.Not | ast.USub):
        yield f"{type(node.op).__name__} dropped", lambda n: n.operand
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in CALLS:
            yield (
                f"{node.func.attr} -> {CALLS[node.func.attr]}",
                lambda n: ast.Call(ast.Attribute(n.func.value, CALLS[n.func.attr], ast.Load()), n.args, n.keywords),
            )
        if not isinstance(node.func.value, ast.Name) or node.func.value.id not in ("torch", "math", "F"):
            yield f".{node.func.attr}() dropped", lambda n: n.func.value
    elif isinstance(node, ast.Attribute) and node.attr == "mT":
        yield ".mT dropped", lambda n: n.value
    elif isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and len(node.elts) == 2:
        yield "pair exchanged", lambda n: ast.Tuple(n.elts[::-1], ast.Load())
    elif isinstance(node, ast.IfExp):
        yield "always the first", lambda n: n.body
        yield "always the second", lambda n: n.orelse


class _At(ast.NodeTransformer):
    """Change the node with this number in the order of the walk."""

    def __init__(self, target: int, change: Callable):
        self.count, self.target, self.change = -1, target, change

    def visit(self, node: ast.AST) -> ast.AST:
        self.count += 1
        if self.count == self.target:
            self.count += sum(1 for _ in ast.walk(node)) - 1
            return self.change(node)
        return self.generic_visit(node)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Depth first, as NodeTransformer goes."""
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _walk(child)


def mutants(function: Callable) -> Iterator[tuple[str, Callable | None]]:
    """Each change with its line; None for one that does not compile."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    annotations = {id(n) for f in ast.walk(tree) if isinstance(f, ast.arguments) for n in ast.walk(f)}
    for number, node in enumerate(list(_walk(tree))):
        if id(node) in annotations:
            continue
        for what, change in _changes(node):
            fresh = copy.deepcopy(tree)
            mutated = ast.fix_missing_locations(_At(number, change).visit(fresh))
            yield f"{ast.unparse(node)[:60]}: {what}", _made(mutated, function)
    body = tree.body[0].body
    for k, line in enumerate(body):
        if isinstance(line, ast.Assign | ast.AugAssign | ast.If | ast.For | ast.Expr) and len(body) > 1:
            fresh = copy.deepcopy(tree)
            del fresh.body[0].body[k]
            yield f"line dropped: {ast.unparse(line)[:60]}", _made(fresh, function)


def _made(tree: ast.AST, function: Callable) -> Callable | None:
    names = dict(inspect.unwrap(function).__globals__)
    try:
        exec(compile(tree, "<mutant>", "exec"), names)
    except (SyntaxError, TypeError, ValueError):
        return None
    return names[function.__name__]
