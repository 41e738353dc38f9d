"""Run a checkpoint's chat template with jinja2's sandbox; as a program, in a process of bounded means.

In: template source and plain JSON values. Out: text. Within the product, `edge.prompt.text.rendering` decides where a
template runs. As a program (`python sandbox.py FOLDER...`, where jinja2 lies) this file serves one template over its
standard input and output and imports nothing else of the product, so that it starts quickly.
Source: transformers@v5.23.0 utils/chat_template_utils.py (settings, filters and functions), differs in: nothing that
a template can tell, the `generation` block included.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_SOURCE_CHARACTERS = 1 << 18
# Text a template may write, beyond a multiple of what it was given.
BASE_CHARACTERS = 1 << 20
CHARACTERS_PER_INPUT = 4
MAX_MEMORY_BYTES = 512 << 20
# Input and output of a long talk are held several times over.
MEMORY_PER_INPUT = 32
COMPILE_CPU_S, RENDER_CPU_S = 2, 5
MAX_PATTERN = 64
MAX_REASON = 1000


class TemplateFailure(Exception):
    """The template is not valid, refuses its values, or asks for too much; `kind` says which."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind, self.reason = kind, reason


def compile_template(source: str) -> Template:
    """Compile a template.

    Raises:
        TemplateFailure: It is too long, too deeply nested, or not valid.
    """
    from jinja2 import TemplateError

    if len(source) > MAX_SOURCE_CHARACTERS:
        raise TemplateFailure("refused", f"it has {len(source)} characters, at most {MAX_SOURCE_CHARACTERS} are read")
    try:
        return make_environment().from_string(source)
    except TemplateError as error:
        raise TemplateFailure("invalid", _reason(error)) from None
    except (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError) as error:
        raise TemplateFailure("refused", f"it cannot be compiled ({type(error).__name__})") from None


def render_template(template: Template, values: dict[str, Any], *, max_characters: int) -> str:  # Any: JSON
    """Render a compiled template.

    Raises:
        TemplateFailure: It does not take the values, reaches for Python, or writes too much.
    """
    from jinja2.exceptions import SecurityError, TemplateError

    pieces: list[str] = []
    left = max_characters
    try:
        for piece in template.generate(values):
            left -= len(piece)
            if left < 0:
                raise TemplateFailure("refused", f"it writes over {max_characters} characters of text")
            pieces.append(piece)
    except SecurityError as error:
        raise TemplateFailure("refused", str(error).rstrip(".")) from None
    except RecursionError:
        raise TemplateFailure("refused", "it calls itself without end") from None
    except (MemoryError, OverflowError) as error:
        raise TemplateFailure("refused", f"it asks for too much ({type(error).__name__})") from None
    except (TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise TemplateFailure("fails", _reason(error)) from None
    return "".join(pieces)


def output_limit(input_characters: int) -> int:
    """Characters that a template may write for an input."""
    return BASE_CHARACTERS + CHARACTERS_PER_INPUT * input_characters


def make_environment() -> ImmutableSandboxedEnvironment:
    """Make jinja2's sandbox with the settings, filters and functions that chat templates are written for."""
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """Takes the marks that trainers put around the assistant's words; they write nothing."""

        tags = {"generation"}  # noqa: RUF012  jinja2 declares it as a set

        def parse(self, parser: Any) -> Any:  # Any: jinja2's parser and nodes
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    def raise_exception(message: str) -> NoReturn:
        raise TemplateError(message)

    # Not optimized: that computes constants of the template while it is compiled, which takes a quarter of the time.
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols", Generation],
        optimized=False,
        cache_size=0,
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment


def serve(given: IO[bytes], answers: IO[bytes]) -> None:
    """Answer requests until the input ends: first the template's source, then values for one rendering each."""
    template: Template | None = None
    while (request := read_frame(given)) is not None:
        try:
            if template is None:
                _limit(COMPILE_CPU_S, 0)
                template = compile_template(request["source"])
                reply: dict[str, object] = {}
            else:
                size = int(request["characters"])
                _limit(RENDER_CPU_S, size)
                reply = {"text": render_template(template, request["values"], max_characters=output_limit(size))}
        except TemplateFailure as failure:
            reply = {"kind": failure.kind, "reason": failure.reason}
        except (MemoryError, RecursionError) as error:
            reply = {"kind": "refused", "reason": f"it asks for too much ({type(error).__name__})"}
        write_frame(answers, {**reply, "used_s": time.process_time()})


def read_frame(stream: IO[bytes], max_bytes: int | None = None) -> Any:  # Any: JSON
    """Read one JSON value, preceded by its length; None at the end of the stream.

    Raises:
        OverflowError: It is longer than `max_bytes`.
    """
    head = stream.read(8)
    length = int.from_bytes(head, "little")
    if max_bytes is not None and length > max_bytes:
        raise OverflowError(length)
    body = stream.read(length) if len(head) == 8 else b""
    return json.loads(body) if body and len(body) == length else None


def write_frame(stream: IO[bytes], value: Any) -> None:  # Any: JSON
    """Write one JSON value, preceded by its length."""
    body = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    stream.write(len(body).to_bytes(8, "little") + body)
    stream.flush()


def _to_json(
    value: Any,  # Any: JSON
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Write JSON as transformers does: Jinja's own filter escapes HTML and sorts keys."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _strftime_now(pattern: str) -> str:
    if len(pattern) > MAX_PATTERN:
        raise ValueError("a long date pattern")
    return datetime.now().strftime(pattern)


def _reason(error: Exception) -> str:
    """Say what went wrong in the template's own words; whoever shows it makes one line of it."""
    return f"{type(error).__name__}: {error}"[:MAX_REASON]


def _limit(seconds: int, input_characters: int) -> None:
    """Bound this process: processor time and memory for the next piece of work, and no file at all."""
    try:
        import resource
    except ImportError:  # Windows: the timer of whoever started this process ends it
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    limits = {
        resource.RLIMIT_CPU: int(used.ru_utime + used.ru_stime) + 1 + seconds,
        resource.RLIMIT_AS: MAX_MEMORY_BYTES + MEMORY_PER_INPUT * input_characters,
        resource.RLIMIT_NOFILE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for name, value in limits.items():
        hard = resource.getrlimit(name)[1]
        with suppress(OSError, ValueError):  # macOS bounds no address space; whoever started this process watches it
            resource.setrlimit(name, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _load_all() -> None:
    """Use all of jinja2 once, what it loads for errors included, before files are out of reach."""
    for source in ("{{ 1|tojson }}{{ strftime_now('%Y') }}", "{{ raise_exception('x') }}", "{% if %}", "{{ 1 / 0 }}"):
        with suppress(TemplateFailure):
            render_template(compile_template(source), {}, max_characters=MAX_PATTERN)


def main() -> None:
    """Serve standard input, with jinja2 from the folders of the command line."""
    sys.path += sys.argv[1:]
    _load_all()
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
