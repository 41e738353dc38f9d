"""One walk through everything a talk can do, on a pseudo-terminal of any width; what its screens said."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.chat.welcome import find_samples
from tests.system.terminal import Terminal

samples = find_samples()
assert samples is not None, "the sample pictures are there"
SAMPLES = samples.folder
WEATHER = '''
def get_weather(city: str) -> dict[str, int | str]:
    """Get the weather of a city."""
    return {"temperature": 21, "sky": "sunny"}
'''


@dataclass(frozen=True)
class Cost:
    """Of one answer, as `--stats` tells it."""

    prompt: int
    kept: int
    has_seen: bool


class Walk:
    """A user at a terminal.

    Attributes:
        folder: Its data, files and sample pictures.
        costs: Of the answers so far.
        first: The first screen.
        said: All screens, one for each run of the program.
        written: All bytes that the terminals got.
    """

    def __init__(self, folder: Path, *, columns: int, more: Mapping[str, str]) -> None:
        self.folder = folder
        self.costs: list[Cost] = []
        self.first = ""
        self.said: list[str] = []
        self.written = ""
        self._columns = columns
        self._more = more
        folder.mkdir(parents=True)
        (folder / "weather.py").write_text(WEATHER)

    def talk(self, other_model: Path) -> None:
        """Ask, show, stop, retry, edit, set, call a tool, draw boxes, save, leave, and go on."""
        with self._terminal("--session", "walk") as terminal:
            self.first = squeezed(terminal.text)
            self._ask(terminal, f"'{SAMPLES}/scene.png' What is in this picture?")
            self._ask(terminal, "How many circles are there?")
            terminal.ask("/set temperature 0")
            self._ask(terminal, "/retry")
            self._ask(terminal, "/edit How many squares are there?")
            terminal.ask(f"{SAMPLES}/before.png {SAMPLES}/after.png")
            self._ask(terminal, "What changed between the two pictures?")
            terminal.ask(f"/save {self.folder}/copy.jsonl")
            terminal.ask("/new boxes")
            self._ask(terminal, f"{SAMPLES}/scene.png Where is the blue square? Answer with bbox_2d JSON.")
            terminal.ask("/boxes")
            self._leave(terminal)
        with self._terminal("--session", "tools", "--tools", str(self.folder / "weather.py")) as terminal:
            terminal.send("What is the weather in Paris?\r")
            terminal.wait_for("[a]lways get_weather: ")
            terminal.send("y\r")
            terminal.wait_for_line()
            terminal.ask(f"/model {other_model}")
            self._stop(terminal)
            self._leave(terminal)
        with self._terminal("--session", "walk") as terminal:
            self._ask(terminal, "How many stars are there?")
            self._leave(terminal)

    def _terminal(self, *arguments: str) -> Terminal:
        given = ["--stats", *arguments]
        terminal = Terminal(given, data=self.folder / "data", columns=self._columns, more=self._more)
        terminal.wait_for_line()
        return terminal

    def _ask(self, terminal: Terminal, line: str) -> None:
        terminal.ask(line)
        found = re.findall(r"prompt (\d+) tokens(?: \((\d+) kept\))?( · vision)?", squeezed(terminal.text))[-1]
        self.costs.append(Cost(int(found[0]), int(found[1] or 0), bool(found[2])))

    def _stop(self, terminal: Terminal) -> None:
        """Stop an answer that would not end; its text is random and left out of what is compared."""
        terminal.ask("/set loop-guard off")
        self.said.append(squeezed(terminal.text))
        terminal.send("Go on\r")
        terminal.wait_for_length(600)  # more than the line itself takes to be echoed
        terminal.send("\x03")
        terminal.wait_for("stopped; the answer so far is kept")
        terminal.wait_for_line()

    def _leave(self, terminal: Terminal) -> None:
        terminal.send("/quit\r")
        assert terminal.exit_code() == 0, terminal.text
        self.said.append(squeezed(terminal.text))
        self.written += terminal.written


def squeezed(text: str) -> str:
    """Return a screen's words, wherever its lines break."""
    return " ".join(text.split())


def comparable(text: str, folder: Path) -> str:
    """Return what a screen says whatever its width: without blanks, numbers, the walk's folder and code fences.

    Which models would fit depends on the memory that is free at that moment: told, but not compared.
    """
    joined = "".join(text.split()).replace(str(folder), "FOLDER").replace("```json", "").replace("```", "")
    joined = re.sub("Gi=[^;]*;AAAA", "", joined)  # a question to the terminal, which the test's screen shows
    joined = re.sub("(Modelshere|Here,butover|Forrealpictures).*?Thoughtstakeup", "Thoughtstakeup", joined)
    return re.sub(r"\d+(\.\d+)?", "#", joined)
