"""Tool calls with consent, and boxes, on a pseudo-terminal and in scripts, with the demo checkpoint."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.system.chat_process import run_chat
from tests.system.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
SCENE = ROOT / "examples" / "images" / "scene.png"
WEATHER = '''
from pathlib import Path


def get_weather(city: str) -> dict[str, int | str]:
    """Get the weather of a city.

    Args:
        city: Its name.
    """
    with Path(__file__).with_name("ran").open("a") as file:
        file.write(city)
    return {"temperature": 21, "sky": "sunny"}
'''
SERVER = '''
from mcp.server import MCPServer

server = MCPServer("weather")


@server.tool()
def get_weather(city: str) -> dict[str, int | str]:
    """Get the weather of a city."""
    return {"temperature": 21, "sky": "sunny"}


server.run("stdio")
'''
QUESTION = "What is the weather in Paris?"


def squeezed(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def weather(tmp_path: Path) -> Path:
    path = tmp_path / "weather.py"
    path.write_text(WEATHER)
    return path


@pytest.mark.slow
def test_a_call_is_asked_about_and_boxes_are_drawn(tmp_path: Path, weather: Path) -> None:
    data = tmp_path / "data"
    with Terminal(["--temperature", "0", "--tools", weather], data=data, columns=100) as terminal:
        terminal.wait_for_line()
        terminal.send(f"{QUESTION}\r")
        terminal.wait_for("[a]lways get_weather: ")
        assert 'get_weather {"city": "Paris"}' in squeezed(terminal.text)
        assert not (tmp_path / "ran").exists()
        terminal.send("n\r")
        terminal.wait_for_line()
        assert not (tmp_path / "ran").exists()
        assert "the user refused this call" in squeezed(terminal.text)
        terminal.ask("/new")
        terminal.send(f"{QUESTION}\r")
        terminal.wait_for("[a]lways get_weather: ")
        terminal.send("a\r")
        terminal.wait_for_line()
        assert "It is sunny in Paris, 21 degrees." in squeezed(terminal.text)
        assert (tmp_path / "ran").read_text() == "Paris"
        terminal.ask("/tools")
        assert "runs at once" in terminal.text
        terminal.ask("/tools off")
        terminal.ask("/new")
        terminal.ask(f"{SCENE} Where is the blue square? Answer with bbox_2d JSON.")
        assert "(1 box: /boxes shows it on the picture, in pixels)" in squeezed(terminal.text)
        terminal.ask("/boxes")
        assert "#1 blue square: box (189, 189) to (323, 323)" in squeezed(terminal.text)
        (drawn,) = data.glob("talks/*/media/boxes-scene.png")
        with Image.open(drawn) as picture, Image.open(SCENE) as original:
            assert picture.size == (2 * original.width, 2 * original.height)
        terminal.ask("/memory")
        assert "planned at most for the last answer" in squeezed(terminal.text)
        terminal.send("/quit\r")
        assert terminal.exit_code() == 0
        assert "Traceback" not in terminal.written


def test_a_script_runs_tools_with_yes_only(tmp_path: Path, weather: Path) -> None:
    arguments: list[str | Path] = ["--temperature", "0", "--tools", weather, "--json", QUESTION]
    refused = json.loads(run_chat(arguments, data=tmp_path).out)
    assert [result["is_error"] for result in refused["tool_results"]] == [True]
    assert not (tmp_path / "ran").exists()
    done = run_chat(["--yes", *arguments], data=tmp_path)
    found = json.loads(done.out)
    assert found["answer"] == "It is sunny in Paris, 21 degrees."
    (result,) = found["tool_results"]
    assert (result["name"], json.loads(result["content"])["sky"]) == ("get_weather", "sunny")
    assert (tmp_path / "ran").read_text() == "Paris"


def test_a_broken_tool_file_is_one_line_before_a_model_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("1 / 0\n")
    done = run_chat(["--model", tmp_path / "none", "--tools", tmp_path / "bad.py", "Hi"], data=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "ZeroDivisionError" in done.err
    assert done.err.count("\n") == 1


def test_tools_of_a_server_run_and_events_tell_their_results(tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    (tmp_path / "server.py").write_text(SERVER)
    arguments = ["--temperature", "0", "--mcp", f"{sys.executable} {tmp_path}/server.py", "--yes", "--json-events"]
    done = run_chat([*arguments, QUESTION], data=tmp_path)
    events = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0, done.err
    (result,) = [event for event in events if event["event"] == "tool_result"]
    assert (result["name"], result["is_error"]) == ("get_weather", False)
    assert [event["event"] for event in events if event["event"] in ("prompt", "finish")] == ["prompt", "finish"] * 2
