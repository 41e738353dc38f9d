"""Write docs/api.md from the docstrings of the public names of `edge`.

    python -m tests.api_page

It is run again whenever a public name, its signature or its docstring changes; tests/unit/test_api_page.py tells when.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import edge

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "api.md"
HEAD = """\
# The public names of `edge`

Written from the docstrings by `python -m tests.api_page`. All names are imported from `edge` itself: `edge.load`,
`edge.Request`. What is not on this page may change without notice. The package is called `qwen3vl-edge`
(`pip install -e PATH/TO/THE/CLONE` in the environment of your project); it is typed, for `mypy --strict` too.

"""
# What a reader wants to do, the names for it, and the program of examples/ that does it, if one does.
TASKS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("ask once", ("load", "Engine.ask"), "moment"),
    ("get data that obeys a JSON Schema", ("Request", "Answer.json"), "receipt"),
    ("show an answer as it comes, with a Cancel button", ("Engine.stream", "EventStream.cancel"), "cancel"),
    ("ask many questions", ("Engine.map",), "captions"),
    ("ask from asyncio, with a time limit", ("Engine.aanswer", "Engine.astream"), "at_once"),
    ("ask from several threads: any method of one engine", ("Engine",), ""),
    ("talk", ("Engine.chat", "Conversation"), "two_turns"),
    ("save a talk and go on later", ("Conversation", "EngineLimits"), "saved_talk"),
    ("let the model call functions", ("tool_from_function", "Conversation.give_results"), "tool_loop"),
    ("find things in a picture", ("Answer.boxes",), "boxes"),
    ("tell a user what went wrong", ("EdgeError",), "failures"),
)
WORDS = """\
Words of OpenAI's protocol that differ here: `response_format` is `schema`, the schema alone; `temperature`, `top_p`,
`seed` and their like lie in `sampling`; `tool_choice` is a tool's name alone; a picture is a path, bytes or a data URL
in `images`, and OpenAI's parts are taken in messages.
"""
# Each part of the page with its names, in the order in which a reader needs them.
PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Load and ask", ("load", "Engine", "Request", "Conversation", "user_message", "SamplingParams", "EngineLimits")),
    ("Pictures and videos", ("Image", "ImageOptions", "ImageSource", "Video", "VideoOptions", "VideoSource")),
    ("What comes back", ("Answer", "Result", "EventStream", "Usage", "MediaUse", "FinishReason", "ToolCall")),
    (
        "Events, in the order in which they come",
        (
            "Event",
            "PromptEvent",
            "ProgressEvent",
            "ReasoningEvent",
            "TextEvent",
            "ToolCallDeltaEvent",
            "ToolCallEvent",
            "CutCallEvent",
            "TokenEvent",
            "NoteEvent",
            "FinishEvent",
        ),
    ),
    ("Tools", ("tool_from_function", "tool_result_message")),
    ("Boxes and points", ("Box", "Point", "parse_boxes", "parse_points")),
    (
        "Errors",
        (
            "EdgeError",
            "RequestError",
            "PromptError",
            "ContextLengthError",
            "MediaError",
            "MemoryPlanError",
            "AnswerError",
            "ConfigError",
            "WeightError",
            "UsageError",
        ),
    ),
)
_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields):$")


def api_page() -> str:
    """Return the page.

    Raises:
        ValueError: A public name stands in no part, or a part has a name that is not public.
    """
    listed = [name for _, names in PARTS for name in names]
    if sorted(listed) != sorted(edge.__all__):
        unlike = sorted(set(listed) ^ set(edge.__all__))
        raise ValueError(f"tests/api_page.py: expected each public name in one part, found otherwise: {unlike}.")
    lines = [HEAD + _tasks(), WORDS]
    for title, names in PARTS:
        lines += [f"## {title}", ""]
        for name in names:
            lines += [*_entry(name), ""]
    return "\n".join(lines).rstrip() + "\n"


def _tasks() -> str:
    rows = ["| To | take | a program to copy |", "|---|---|---|"]
    for task, names, program in TASKS:
        links = ", ".join(f"[{name}](#{name.lower().replace('.', '')})" for name in names)
        rows.append(f"| {task} | {links} | {f'[{program}.py](../examples/{program}.py)' if program else ''} |")
    return "\n".join(rows) + "\n"


def _entry(name: str) -> list[str]:
    module, node = _definition(name)
    place = f"`{module.relative_to(ROOT).as_posix()}`"
    if isinstance(node, ast.ClassDef):
        return _class_entry(node, place)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [f"### {name}", "", *_code(_signature(node)), "", *_docstring(node), "", f"In {place}."]
    source = ast.get_source_segment(module.read_text(encoding="utf-8"), node) or ""
    return [f"### {name}", "", *_code(source), "", f"In {place}."]


def _class_entry(node: ast.ClassDef, place: str) -> list[str]:
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    fields = [
        f"    {ast.unparse(item)}"
        for item in node.body
        if isinstance(item, ast.AnnAssign) and not ast.unparse(item.target).startswith("_")
    ]
    head = f"class {node.name}({bases})" if bases else f"class {node.name}"
    lines = [f"### {node.name}", "", *_code("\n".join([head, *fields])), "", *_docstring(node), "", f"In {place}."]
    for method in node.body:
        if not isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) or method.name.startswith("_"):
            continue
        signature, owner = _signature(method), node.name
        if any(ast.unparse(decorator).endswith("property") for decorator in method.decorator_list):
            returned = ast.unparse(method.returns) if method.returns else "None"
            signature = f"{method.name}: {returned}"
        lines += ["", f"#### {owner}.{method.name}", "", *_code(signature), "", *_docstring(method)]
    return lines


def _definition(name: str) -> tuple[Path, ast.stmt]:
    """Find where a public name is defined.

    Raises:
        ValueError: Nowhere.
    """
    home = next(module for module, names in edge._MODULES.items() if name in names)
    path = ROOT / "edge" / f"{home.replace('.', '/')}.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if getattr(node, "name", None) == name:
            return path, node
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        if any(ast.unparse(target) == name for target in targets):
            return path, node
    raise ValueError(f"{path}: expected a definition of {name}, found none.")


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Write a function's head, one argument a line where it is long."""
    start = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    head = f"{start} {node.name}({ast.unparse(node.args)}){returned}"
    if len(head) <= 110:
        return head
    inside = "".join(f"    {argument},\n" for argument in _arguments(node.args))
    return f"{start} {node.name}(\n{inside}){returned}"


def _arguments(arguments: ast.arguments) -> list[str]:
    positional = [*arguments.posonlyargs, *arguments.args]
    values = [*[None] * (len(positional) - len(arguments.defaults)), *arguments.defaults]
    found = [_argument(argument, value) for argument, value in zip(positional, values, strict=True)]
    if arguments.vararg:
        found.append(f"*{ast.unparse(arguments.vararg)}")
    elif arguments.kwonlyargs:
        found.append("*")
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    found += [_argument(argument, value) for argument, value in named]
    return found if arguments.kwarg is None else [*found, f"**{ast.unparse(arguments.kwarg)}"]


def _argument(argument: ast.arg, value: ast.expr | None) -> str:
    text = ast.unparse(argument)
    return text if value is None else f"{text} = {ast.unparse(value)}"


def _code(text: str) -> list[str]:
    return ["```python", text, "```"]


def _docstring(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Write a docstring of Google's style as Markdown.

    Raises:
        ValueError: There is none.
    """
    text = ast.get_docstring(node)
    if not text:
        raise ValueError(f"{node.name}: expected a docstring, as it is public; found none. Write one.")
    lines: list[str] = []
    is_listing = False
    for line in text.splitlines():
        if found := _SECTION.match(line):
            is_listing = found[1] in ("Args", "Attributes", "Raises")
            lines += [f"**{found[1]}**", ""]
        elif is_listing and (item := re.match(r"    (\S[^:]*): (.*)", line)):
            lines.append(f"* `{item[1]}`: {item[2]}")
        elif is_listing and line.startswith("     "):
            lines.append(f"  {line.strip()}")
        else:
            is_listing = is_listing and (not line or line.startswith(" "))
            lines.append(line.removeprefix("    ") if not line.startswith("     ") else line)
    return lines


if __name__ == "__main__":
    PAGE.write_text(api_page(), encoding="utf-8")
