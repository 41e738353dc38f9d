"""Decide where a template runs, and see that it ends: here if its text is known, else in a process of its own.

Templates whose text is known by digest (the published ones and the demo's) run in this process. All others run in a
child process with bounded address space and processor time, without files, under a timer. In a frozen app
(PyInstaller), where no interpreter can be started, jinja2's sandbox alone bounds them: it keeps templates from Python's
objects, but not from using time and memory.
"""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol
from weakref import finalize

from edge.prompt.text import sandbox
from edge.prompt.text.sandbox import TemplateFailure

# SHA-256 of template texts: Qwen3-VL Thinking, Qwen3-VL Instruct, and the demo checkpoint's own.
KNOWN_DIGESTS = {
    "36e042fe45641f067b1f2381fcc8955d10d956a3ed333ecdf7f7eb0916f68956",
    "3636d0f0bd6bef02654cdffdc447b79cb2cef8ab02cc75267345946291a489e4",
    "6f10dfa87dac39ab92ae357d03c58d6f395139cd431f34fe08f83da6707c5bc1",
}
# By the clock, for compiling and for each rendering; the child's own limits count processor time and are lower.
TIMER_S = 8.0
# A machine that is busy with other things gives the child less than this share of the clock: then it gets longer.
FAIR_SHARE = 0.5
MOST_TIMERS = 5
WATCH_S = 0.05
CHILD = Path(sandbox.__file__)


class Renderer(Protocol):
    """Renders one template; safe on any thread."""

    def render(self, values: dict[str, Any], *, input_characters: int) -> str:  # Any: JSON
        """Write the text.

        Raises:
            TemplateFailure: The template fails, refuses the values, or asks for too much.
        """
        ...


def open_renderer(source: str) -> Renderer:
    """Compile a template where it may run.

    Raises:
        TemplateFailure: It is not valid or cannot be compiled.
    """
    is_known = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest() in KNOWN_DIGESTS
    return LocalRenderer(source) if is_known or getattr(sys, "frozen", False) else ChildRenderer(source)


class LocalRenderer:
    """Renders in this process."""

    def __init__(self, source: str) -> None:
        """Compile a template; raises TemplateFailure."""
        self._template = sandbox.compile_template(source)

    def render(self, values: dict[str, Any], *, input_characters: int) -> str:  # Any: JSON
        """Write the text; raises TemplateFailure."""
        return sandbox.render_template(self._template, values, max_characters=sandbox.output_limit(input_characters))


class ChildRenderer:
    """Renders in a child process, which is started anew if it had to be ended."""

    def __init__(self, source: str) -> None:
        """Start the process and compile a template there; raises TemplateFailure."""
        self._source = source
        self._lock = threading.Lock()
        self._child: _Child | None = None
        with self._lock:
            self._ready_child()

    def render(self, values: dict[str, Any], *, input_characters: int) -> str:  # Any: JSON
        """Write the text; raises TemplateFailure."""
        with self._lock:
            reply = self._ask({"values": values, "characters": input_characters}, input_characters)
        return str(reply["text"])

    def _ready_child(self) -> _Child:
        if self._child is None:
            self._child = _Child()
            try:
                self._ask({"source": self._source}, 0)
            except TemplateFailure:
                self._end_child()
                raise
        return self._child

    def _ask(self, request: dict[str, Any], input_characters: int) -> dict[str, Any]:  # Any: JSON
        child = self._child or self._ready_child()
        is_answered = False
        try:
            reply: dict[str, Any] = child.ask(request, input_characters=input_characters)
            is_answered = True
        finally:
            if not is_answered:
                self._end_child()
        if "reason" in reply:
            raise TemplateFailure(str(reply.get("kind")), str(reply["reason"]))
        return reply

    def _end_child(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None


class _Child:
    """One child process and its pipes."""

    def __init__(self) -> None:
        found = [importlib.util.find_spec(name) for name in ("jinja2", "markupsafe")]
        folders = [str(Path(spec.origin).parents[1]) for spec in found if spec and spec.origin]
        # A session of its own: Ctrl-C in the terminal is this process's to handle.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", str(CHILD), *folders],  # -B: files may not grow there, byte code neither
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._finalizer = finalize(self, _end, self._process)
        self._used_s = 0.0  # processor time, as of its last answer

    def ask(self, request: dict[str, Any], *, input_characters: int) -> dict[str, Any]:  # Any: JSON
        """Send a request and wait for the answer, no longer than the timer."""
        given, answers = self._process.stdin, self._process.stdout
        assert given is not None, "the child's input is a pipe"
        assert answers is not None, "the child's output is a pipe"
        # UTF-8 takes up to four bytes a character, JSON six for an escaped one.
        max_bytes = 6 * sandbox.output_limit(input_characters)
        max_memory_bytes = sandbox.MAX_MEMORY_BYTES + sandbox.MEMORY_PER_INPUT * input_characters
        watch = _Watch(self._process, max_memory_bytes, self._used_s)
        try:
            sandbox.write_frame(given, request)
            reply = sandbox.read_frame(answers, max_bytes)
        except OverflowError:
            raise TemplateFailure("refused", f"it writes over {max_bytes} bytes of text") from None
        except (OSError, ValueError):
            reply = None
        finally:
            watch.stop()
        if not isinstance(reply, dict):
            raise TemplateFailure("refused", watch.reason or self._ending())
        self._used_s = float(reply["used_s"])
        return reply

    def close(self) -> None:
        """End the process."""
        self._finalizer()

    def _ending(self) -> str:
        try:
            code = self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return "its answer cannot be read"
        if sys.platform != "win32":
            import signal

            if code == -signal.SIGXCPU:
                return "it uses too much processor time, probably a loop without end"
        return f"it crashed its process (code {code})"


class _Watch:
    """Ends a process that runs too long or, where the system sets no bound, takes too much memory."""

    def __init__(self, process: subprocess.Popen[bytes], max_memory_bytes: int, used_s: float) -> None:
        self.reason = ""
        self._used_s = used_s  # processor time before
        self._process, self._max_memory_bytes = process, max_memory_bytes
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        start = time.monotonic()
        end = start + TIMER_S
        bounds_memory = sys.platform == "linux"
        while not self._done.wait(max(0.0, end - time.monotonic()) if bounds_memory else WATCH_S):
            if time.monotonic() >= end:
                is_starved = self._processor_s() - self._used_s < FAIR_SHARE * TIMER_S
                if is_starved and time.monotonic() < start + MOST_TIMERS * TIMER_S:
                    end = time.monotonic() + TIMER_S / 4
                    continue
                self.reason = f"it runs over {TIMER_S:g} seconds, probably a loop without end"
            elif not bounds_memory and self._memory_bytes() > self._max_memory_bytes:
                self.reason = "it asks for too much memory"
            if self.reason:
                self._process.kill()
                return

    def _memory_bytes(self) -> int:
        import psutil

        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def _processor_s(self) -> float:
        import psutil

        try:
            times = psutil.Process(self._process.pid).cpu_times()
        except psutil.Error:
            return 0.0
        return float(times.user + times.system)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # what was still to be written has no reader
                pipe.close()
