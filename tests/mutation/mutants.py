"""Modules with one change inside a function: a comparison turned round, a condition left out, an argument not given.

What types would find (None for a value), what sentences say, and what stands outside of functions is left alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_NAMES = {"any": "all", "all": "any", "min": "max", "max": "min", "sorted": "list", "reversed": "iter"}
_NOT_RUN = {"annotation", "returns", "decorator_list"}

Place = tuple[ast.AST, str, int | None, str | None]
"""A node with the field, and the index in it, where another one can stand; and the function around it."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One change of one module."""

    line: int
    function: str
    """Qualified name of the outermost one."""
    before: str
    after: str
    code: CodeType
    """Of the function."""

    def __str__(self) -> str:
        return f"{self.line}: {self.before}\n    -> {self.after}"


def mutants_of(path: Path) -> Iterator[Mutant]:
    """All mutants of a file, each compiled when it is asked for."""
    tree = ast.parse(path.read_text())
    for parent, name, index, function in _places(tree, None, ()):
        siblings = getattr(parent, name)
        node = siblings if index is None else siblings[index]
        for new in _alternatives(node, parent, name) if function is not None else ():
            shown = parent if isinstance(parent, ast.expr | ast.keyword) else None
            before = ast.unparse(shown or node)
            _put(parent, name, index, ast.copy_location(new, node))
            ast.fix_missing_locations(parent)
            after = ast.unparse(shown or new)
            module = compile(tree, str(path), "exec", dont_inherit=True)
            _put(parent, name, index, node)
            code = next(code for code in _codes(module) if code.co_qualname == function)
            yield Mutant(line=node.lineno, function=function, before=before, after=after, code=code)


def _places(node: ast.AST, function: str | None, names: tuple[str, ...]) -> Iterator[Place]:
    for name, value in ast.iter_fields(node):
        children = enumerate(value) if isinstance(value, list) else [(None, value)]
        for index, child in children:
            if not isinstance(child, ast.AST) or name in _NOT_RUN or _is_words(child, node):
                continue
            if isinstance(child, ast.expr | ast.stmt):
                yield node, name, index, function
            inner = (*names, child.name) if isinstance(child, ast.ClassDef | ast.FunctionDef) else names
            is_outermost = isinstance(child, ast.FunctionDef) and function is None
            yield from _places(child, ".".join(inner) if is_outermost else function, inner)


def _is_words(child: ast.AST, parent: ast.AST) -> bool:
    """Docstrings, sentences, and what a type checker reads."""
    match child:
        case ast.Constant(value=str(text)):
            return " " in text or isinstance(parent, ast.Expr)
        case ast.Expr(value=ast.Constant(value=str())):
            return True
    return isinstance(child, ast.JoinedStr | ast.arguments)


def _alternatives(node: ast.AST, parent: ast.AST, name: str) -> Iterator[ast.AST]:
    """What can stand in the place of a node, which is in this field of its parent."""
    yield from _other_operators(node)
    yield from _other_values(node)
    yield from _other_deeds(node)
    if name == "ifs":
        yield ast.Constant(value=True)
    elif name == "test" and isinstance(parent, ast.IfExp):
        yield ast.Constant(value=True)
        yield ast.Constant(value=False)
    elif name == "test" and not isinstance(node, ast.Compare | ast.UnaryOp | ast.BoolOp):
        yield ast.UnaryOp(op=ast.Not(), operand=node)


def _other_operators(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare():
            for number, operator in enumerate(node.ops):
                operators = [*node.ops[:number], _COMPARISONS[type(operator)](), *node.ops[number + 1 :]]
                yield ast.Compare(left=node.left, ops=operators, comparators=node.comparators)
        case ast.BoolOp():
            for number in range(len(node.values)):
                rest = node.values[:number] + node.values[number + 1 :]
                yield rest[0] if len(rest) == 1 else ast.BoolOp(op=node.op, values=rest)
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.BinOp() if type(node.op) in _OPERATORS:
            yield ast.BinOp(left=node.left, op=_OPERATORS[type(node.op)](), right=node.right)


def _other_values(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Constant(value=bool(value)):
            yield ast.Constant(value=not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value=value + 1)
        case ast.Constant(value=str(value)):
            yield ast.Constant(value=f"XX{value}")
        case ast.Name(ctx=ast.Load()) if node.id in _NAMES:
            yield ast.Name(id=_NAMES[node.id], ctx=ast.Load())


def _other_deeds(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.AugAssign() | ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()
        case ast.Call():
            for number, keyword in enumerate(node.keywords):
                if keyword.arg not in (
                    None,
                    "strict",
                ):  # a linter asks for `zip(…, strict=False)`, which changes nothing
                    rest = node.keywords[:number] + node.keywords[number + 1 :]
                    yield ast.Call(func=node.func, args=node.args, keywords=rest)


def _put(parent: ast.AST, name: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(parent, name, node)
    else:
        getattr(parent, name)[index] = node


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)
