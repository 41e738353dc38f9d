from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.errors import UsageError
from edge.events import ToolCall
from edge.tools.box import ToolBox
from edge.tools.tool import ToolResult

pytest.importorskip("mcp")

SERVER = '''
import base64, io, os
from mcp.server import MCPServer
from mcp.types import ImageContent, TextContent

server = MCPServer("test")

@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b

@server.tool()
def fails() -> str:
    """Fail."""
    raise ValueError("not today")

@server.tool()
def variable(name: str) -> str:
    """Read an environment variable."""
    return os.environ.get(name, "none")

@server.tool()
def draw() -> list[TextContent | ImageContent]:
    """Draw."""
    from PIL import Image
    file = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return [TextContent(type="text", text="red"), ImageContent(type="image", data=data, mime_type="image/png")]

server.run("stdio")
'''


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToolBox]:
    from edge.tools.server import McpServer

    path = tmp_path_factory.mktemp("mcp") / "server.py"
    path.write_text(SERVER, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_TEST_VARIABLE", "seen")
        with McpServer(f"{sys.executable} {path}") as server:
            box = ToolBox()
            box.add(server.tools)
            yield box


def run(box: ToolBox, tool: str, **arguments: Any) -> ToolResult:
    return box.run(ToolCall(0, "1", tool, json.dumps(arguments)))


def test_a_servers_tools_are_declared_and_called(box: ToolBox) -> None:
    assert [tool.name for tool in box.tools] == ["add", "fails", "variable", "draw"]
    assert box.tools[0].description == "Add two numbers."
    assert box.tools[0].parameters["required"] == ["a", "b"]
    assert box.tools[0].needs_consent
    assert run(box, "add", a=2, b=3).text == "5"


def test_wrong_arguments_do_not_reach_the_server(box: ToolBox) -> None:
    assert "a: expected integer" in run(box, "add", a="2", b=3).text


def test_a_failure_of_the_server_becomes_a_result(box: ToolBox) -> None:
    result = run(box, "fails")
    assert result.is_error
    assert result.text == "Error: Error executing tool fails"


def test_pictures_come_as_parts(box: ToolBox) -> None:
    content = run(box, "draw").content
    assert isinstance(content, list)
    assert [part["type"] for part in content] == ["text", "image"]
    assert content[1]["image"].startswith(b"\x89PNG")


def test_the_server_has_the_environment_of_the_program(box: ToolBox) -> None:
    assert run(box, "variable", name="EDGE_TEST_VARIABLE").text == "seen"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("/no/such/program --x", "no such program"),
        (f"{sys.executable} -c \"raise SystemExit('broken setup')\"", "It said: broken setup"),
        ("http://127.0.0.1:9/mcp", "--mcp http"),
    ],
)
def test_a_server_that_does_not_come_up_is_told_in_one_line(command: str, said: str) -> None:
    from edge.tools.server import McpServer

    with pytest.raises(UsageError) as caught:
        McpServer(command)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_command_is_split_as_a_shell_would(tmp_path: Path) -> None:
    from edge.tools.server import McpServer

    path = tmp_path / "my server.py"
    path.write_text(SERVER, encoding="utf-8")
    with McpServer(f"{sys.executable} '{path}'", needs_consent=False) as server:
        assert not server.tools[0].needs_consent
