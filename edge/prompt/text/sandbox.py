"""Run a checkpoint's chat template as untrusted code: no Python objects, and an end in bounded time and memory.

In: template source and plain JSON values. Out: text, or TemplateRefused. jinja2's immutable sandbox keeps templates
from Python's objects, but lets them loop and grow strings for ever. Here every loop round, call, filter, test and
growing operation charges a budget of steps, characters and seconds, so it also works on threads, without signals.
Filters, methods and functions are lists of what chat templates use; the rest is refused by name.
"""

from __future__ import annotations

import json
import operator
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import wraps
from typing import Any, NoReturn, cast

from jinja2 import Template as JinjaTemplate
from jinja2 import TemplateError, Undefined, nodes, pass_environment
from jinja2.exceptions import SecurityError
from jinja2.runtime import BlockReference, Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace

from edge.prompt.text.rewrite import meter_tree

# Values inside a template may be anything that JSON or Jinja makes; they are checked where they are used.
Value = Any

MAX_SOURCE_CHARACTERS = 1 << 18
MAX_STEPS = 1_000_000
MAX_SECONDS = 5.0
MAX_RANGE = 100_000
MAX_INTEGER_BITS = 256
MAX_INDENT = 64
# Characters a template may build, beyond a multiple of what it was given (long conversations are copied a few times).
BASE_CHARACTERS = 8_000_000
CHARACTERS_PER_INPUT = 32

FILTERS = {
    *("abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "indent", "int", "items"),
    *("join", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse"),
    *("safe", "select", "selectattr", "sort", "string", "title", "tojson", "trim", "unique", "upper"),
}
# These compare what they are given, to any depth.
DEEP_FILTERS = {"dictsort", "groupby", "max", "min", "sort", "unique"}
STRING_METHODS = {
    *("capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha", "isascii", "isdecimal"),
    *("isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper", "join", "lower", "lstrip", "partition"),
    *("removeprefix", "removesuffix", "replace", "rfind", "rindex", "rpartition", "rsplit", "rstrip", "split"),
    *("splitlines", "startswith", "strip", "swapcase", "title", "upper"),
}
CONTAINER_METHODS = {"get", "items", "keys", "values", "index", "count"}
OPERATORS = {"+": operator.add, "*": operator.mul, "**": operator.pow, "%": operator.mod}


class TemplateRefused(Exception):
    """The template asked for something it may not do, or used up its budget; the message says which."""


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja with transformers' settings and a budget; one object serves many threads.

    Source: transformers@v5.23.0 utils/chat_template_utils.py _cached_compile_jinja_template, differs in: limits,
    lists of allowed names, no `generation` block.
    """

    intercepted_binops = frozenset(OPERATORS)

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols"],
            optimized=False,
            cache_size=0,
            finalize=_write_value,
        )
        self._budgets = threading.local()
        # jinja2 joins macro and block outputs with this attribute, where growth would not be seen.
        setattr(self, "concat", self._concat)  # noqa: B010  it shadows a class attribute on purpose
        known: dict[str, Callable[..., Value]] = {name: self.filters[name] for name in FILTERS}
        known |= {
            "tojson": self._to_json,
            "replace": self._replace,
            "indent": self._indent,
            "join": self._join,
            "string": self.text,
            "safe": self.text,
        }
        self.filters = {name: self._metered(known[name], name in DEEP_FILTERS) for name in FILTERS}
        self.tests = {
            name: self._metered(cast("Callable[..., Value]", test), True) for name, test in self.tests.items()
        }
        self.globals = {
            "range": self.make_range,
            "dict": self.make_dict,
            "namespace": _Namespace,
            "cycler": Cycler,
            "joiner": Joiner,
            "raise_exception": self.raise_exception,
            "strftime_now": self.strftime_now,
        }

    def compile_source(self, source: str) -> JinjaTemplate:
        """Compile a template.

        Raises:
            TemplateRefused: It is too long or too deeply nested.
            TemplateError: It is not valid, or uses an unknown filter.
        """
        if len(source) > MAX_SOURCE_CHARACTERS:
            raise TemplateRefused(f"it has {len(source)} characters, at most {MAX_SOURCE_CHARACTERS} are read")
        try:
            return self.from_string(source)
        except (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError) as error:
            raise TemplateRefused(f"it cannot be compiled ({type(error).__name__})") from None

    def render_source(self, template: JinjaTemplate, values: dict[str, Value], *, input_characters: int) -> str:
        """Render a compiled template within a fresh budget.

        Raises:
            TemplateRefused: A limit is reached or something forbidden is asked for.
            TemplateError: The template raises, or fails on the values.
        """
        budget = _Budget(MAX_STEPS + input_characters, BASE_CHARACTERS + CHARACTERS_PER_INPUT * input_characters)
        self._budgets.now = budget
        pieces = []
        try:
            for piece in template.generate(values):
                budget.charge(len(piece))
                pieces.append(piece)
        except SecurityError as error:
            raise TemplateRefused(str(error).rstrip(".")) from None
        except RecursionError:
            raise TemplateRefused("it calls itself without end") from None
        except (MemoryError, OverflowError) as error:
            raise TemplateRefused(f"it asks for too much ({error})") from None
        finally:
            self._budgets.now = None
        return "".join(pieces)

    def charge(self, characters: int = 0) -> bool:
        """Take one step and some characters from the running budget."""
        budget: _Budget | None = getattr(self._budgets, "now", None)
        if budget is None:
            raise TemplateRefused("it works outside a rendering")  # stops constant folding while compiling
        budget.charge(characters)
        return True

    def weigh(self, value: Value) -> Value:
        """Charge everything inside a value before it is compared, hashed or written out."""
        if isinstance(value, dict | list | tuple):
            waiting: list[Value] = [value]
            while waiting:
                found = waiting.pop()
                if isinstance(found, dict):
                    found = [*found.keys(), *found.values()]
                self.charge(sum(len(item) for item in found if isinstance(item, str)) + len(found))
                waiting += [item for item in found if isinstance(item, dict | list | tuple)]
        return value

    def text(self, value: Value) -> str:
        """Write a value as text, charged when it is a container."""
        if isinstance(value, str):
            return str(value)
        allowed = value is None or isinstance(value, bool | int | float | dict | list | tuple | range | Undefined)
        _refuse_unless(allowed, f"the text of a {type(value).__name__}")
        return str(self.weigh(value))

    def join_text(self, *parts: Value) -> str:
        """Do what `~` does, charged."""
        return self._concat([self.text(part) for part in parts])

    def cut(self, value: Value, start: Value, stop: Value, step: Value) -> Value:
        """Do what `value[start:stop:step]` does, charged."""
        self.charge(_size(value))
        return value[slice(start, stop, step)]

    def make_range(self, *args: int) -> range:
        """Make a range of bounded length."""
        numbers = range(*args)
        _refuse_unless(len(numbers) <= MAX_RANGE, f"a range of {len(numbers)} numbers")
        return numbers

    def make_dict(self, *args: Value, **kwargs: Value) -> dict[Value, Value]:
        """Make a dictionary, charged."""
        self.weigh(list(args))
        return dict(*args, **kwargs)

    def raise_exception(self, message: str) -> NoReturn:
        """Let the template refuse its messages."""
        raise TemplateError(message)

    def strftime_now(self, pattern: str) -> str:
        """Write the present time."""
        _refuse_unless(isinstance(pattern, str) and len(pattern) <= MAX_INDENT, "a long date pattern")
        return datetime.now().strftime(pattern)

    def call(self, context: Context, function: Value, /, *args: Value, **kwargs: Value) -> Value:
        """Call what is on the lists, charged."""
        self.charge()
        owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
        if owner is self:
            named = {key: item for key, item in kwargs.items() if key not in ("_loop_vars", "_block_vars")}
            return function(*args, **named)  # those two are Jinja's own, for functions that take the context
        if isinstance(owner, str):
            self._check_string_method(owner, name, args)
        elif isinstance(owner, dict | list | tuple):
            _refuse_unless(name in CONTAINER_METHODS, f"the method .{name}() of a {type(owner).__name__}")
            self.weigh(owner if name in ("index", "count") else args)
        elif isinstance(owner, LoopContext | Cycler):
            self.weigh(args)
        else:
            is_ours = isinstance(function, Macro | Joiner | LoopContext | BlockReference | Undefined)
            _refuse_unless(is_ours or function in (_Namespace, Cycler, Joiner), f"a call of {type(function).__name__}")
        return super().call(context, function, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Value, right: Value) -> Value:
        """Compute an operation that can make large values, charged first."""
        if operator == "%":
            _refuse_unless(not isinstance(left, str), "the % operator on a string")
        elif operator == "+":
            self.charge(_size(left) + _size(right))
        elif operator == "*":
            self.charge(max(_size(left) * _whole(right), _size(right) * _whole(left), 0))
        _refuse_unless(_bits(operator, left, right) <= MAX_INTEGER_BITS, f"{operator} on numbers of that size")
        return OPERATORS[operator](left, right)

    def getitem(self, obj: Value, argument: Value) -> Value:
        """Look up an item; keys are charged, because hashing reads them to any depth."""
        return super().getitem(obj, self.weigh(argument))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        meter_tree(tree)
        tree.set_environment(self)
        return tree

    def _check_string_method(self, owner: str, name: str, args: tuple[Value, ...]) -> None:
        _refuse_unless(name in STRING_METHODS, f"the method .{name}() of a string")
        if name == "replace" and len(args) >= 2:
            self._charge_replace(owner, args[0], args[1])
        elif name == "join" and args:
            _refuse_unless(isinstance(args[0], list | tuple | dict | str), "a join of something that is not a list")
            self.charge(len(owner) * len(args[0]))
            self.weigh(args[0])
        elif not (name.startswith("is") or name in ("startswith", "endswith", "find", "index", "count")):
            self.charge(len(owner))

    def _metered(self, function: Callable[..., Value], is_deep: bool) -> Callable[..., Value]:
        @wraps(function)
        def metered(*args: Value, **kwargs: Value) -> Value:
            self.charge()
            if is_deep:
                self.weigh([item for item in args if isinstance(item, dict | list | tuple | str)])
            result = function(*args, **kwargs)
            self.charge(_size(result))
            return result

        return metered

    def _to_json(
        self,
        value: Value,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        """Write JSON as transformers does: Jinja's own filter escapes HTML and sorts keys."""
        is_short = indent is None or (isinstance(indent, int) and 0 <= indent <= MAX_INDENT)
        _refuse_unless(is_short, f"an indent of {indent!r}")
        self.weigh(value)
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def _charge_replace(self, text: str, old: Value, new: Value) -> None:
        found = text.count(old) if isinstance(old, str) else 0
        self.charge(len(text) + found * _size(new))

    def _replace(self, text: Value, old: Value, new: Value, count: int | None = None) -> str:
        source, before, after = self.text(text), self.text(old), self.text(new)
        self._charge_replace(source, before, after)
        return source.replace(before, after, -1 if count is None else count)

    def _indent(self, text: Value, width: Value = 4, first: bool = False, blank: bool = False) -> str:
        space = width if isinstance(width, str) else " " * min(int(width), MAX_INDENT)
        lines = self.text(text).splitlines() or [""]
        self.charge(len(lines) * len(space))
        marked = [space + line if line or blank else line for line in lines]
        return "\n".join(marked if first else [lines[0], *marked[1:]])

    def _join(self, value: Value, d: Value = "", attribute: Value = None) -> str:
        """Do what the filter `join` does, charged before anything is joined."""
        between, parts = self.text(d), []
        for item in value:
            found = item if attribute is None else super().getitem(item, attribute)
            parts.append(self.text(found))
            self.charge(len(parts[-1]) + len(between))
        return between.join(parts)

    def _concat(self, parts: Iterable[str]) -> str:
        pieces = parts if isinstance(parts, list) else list(parts)
        self.charge(sum(map(len, pieces)))
        return "".join(pieces)


class _Budget:
    """What is left of a rendering's steps, characters and seconds."""

    def __init__(self, max_steps: int, max_characters: int) -> None:
        self.max_steps = self.steps = max_steps
        self.max_characters = self.characters = max_characters
        # Seconds of this thread's own work: a busy computer must not refuse a good template.
        self.deadline = time.thread_time() + MAX_SECONDS

    def charge(self, characters: int) -> None:
        self.steps -= 1
        self.characters -= characters
        if self.steps < 0:
            raise TemplateRefused(f"it takes over {self.max_steps} steps, probably a loop without end")
        if self.characters < 0:
            raise TemplateRefused(f"it builds over {self.max_characters} characters of text")
        if time.thread_time() > self.deadline:
            raise TemplateRefused(f"it runs over {MAX_SECONDS:g} seconds, probably a loop without end")


class _Namespace(Namespace):
    """A namespace without underscore names, as in transformers: they could pass for Python's internals."""

    def __init__(*args: Value, **kwargs: Value) -> None:
        for name in dict(*args[1:], **kwargs):
            _check_attribute(name)
        Namespace.__init__(*args, **kwargs)

    def __setitem__(self, name: str, value: Value) -> None:
        _check_attribute(name)
        Namespace.__setitem__(self, name, value)


@pass_environment
def _write_value(environment: Sandbox, value: Value) -> str:
    return environment.text(value)


def _check_attribute(name: Value) -> None:
    _refuse_unless(not (isinstance(name, str) and name.startswith("_")), f"the namespace attribute {name!r}")


def _refuse_unless(is_allowed: bool, what: str) -> None:
    if not is_allowed:
        raise TemplateRefused(f"it asks for {what}, which templates may not do here")


def _size(value: Value) -> int:
    """Characters of a text or items of a container."""
    return len(value) if isinstance(value, str | dict | list | tuple) else 0


def _whole(value: Value) -> int:
    return value if isinstance(value, int) else 0


def _bits(name: str, left: Value, right: Value) -> int:
    if not (isinstance(left, int) and isinstance(right, int)):
        return 0
    if name == "**":
        return left.bit_length() * max(right, 1)
    return left.bit_length() + right.bit_length() if name == "*" else 0
