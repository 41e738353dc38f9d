"""Rewrite a parsed template so that everything which can run long or grow passes through the sandbox.

In: Jinja's syntax tree. Out: the same tree, changed in place: a charge in every loop round and loop condition, and
checked calls in the place of `~`, slices, comparisons and dictionary keys, which Jinja compiles to bare Python.
"""

from __future__ import annotations

from jinja2 import nodes


def meter_tree(node: nodes.Node) -> None:
    """Rewrite a tree in place; the names called are methods of `edge.prompt.text.sandbox.Sandbox`."""
    for field, value in list(node.iter_fields()):
        if isinstance(value, list):
            value[:] = [_meter(item) if isinstance(item, nodes.Node) else item for item in value]
        elif isinstance(value, nodes.Node):
            setattr(node, field, _meter(value))
    if isinstance(node, nodes.For):
        node.body.insert(0, nodes.ExprStmt(_call("charge"), lineno=node.lineno))
        if node.test is not None:
            node.test = nodes.And(_call("charge"), node.test, lineno=node.lineno)


def _meter(node: nodes.Node) -> nodes.Node:
    meter_tree(node)
    replacement: nodes.Node = node
    if isinstance(node, nodes.Concat):
        replacement = _call("join_text", *node.nodes)
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
        cut = node.arg
        replacement = _call("cut", node.node, *(part or nodes.Const(None) for part in (cut.start, cut.stop, cut.step)))
    elif isinstance(node, nodes.Compare):
        node.expr = _weigh(node.expr)
        for operand in node.ops:
            operand.expr = _weigh(operand.expr)
    elif isinstance(node, nodes.Pair):
        node.key = _weigh(node.key)
    return replacement if replacement is node else replacement.set_lineno(node.lineno)


def _weigh(node: nodes.Expr) -> nodes.Expr:
    if isinstance(node, nodes.Const):
        return node
    call = _call("weigh", node)
    call.set_lineno(node.lineno)
    return call


def _call(method: str, *args: nodes.Expr) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(method), list(args), [], None, None)
