"""Templates that are not known run in a process of their own, and end."""

from __future__ import annotations

import gc
import resource
import sys
import threading
import time
from typing import Any, Self

import psutil
import pytest

from edge.errors import PromptError
from edge.prompt.text import rendering
from edge.prompt.text.rendering import ChildRenderer, LocalRenderer, open_renderer
from edge.prompt.text.sandbox import TemplateFailure
from edge.prompt.text.template import ChatTemplate
from tests.prompt_parts import template
from tests.shared_facts import FACTS, needs_facts
from tests.unit.prompt.text.attacks import ATTACKS, FAMILIES, LOOP, NESTED_TUPLE, QUICK

HELLO: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
MOST_SECONDS, MOST_MIB, MOST_CHARACTERS = 10, 200, 500


class Clock:
    """Seconds of a block: by the clock, or, on a machine that is busy with other things, of processors.

    Attributes:
        seconds: The smaller of the two, processor time with that of children that have ended.
    """

    def __enter__(self) -> Self:
        self._before = (time.monotonic(), self._processor_s())
        return self

    def __exit__(self, *_rest: object) -> None:
        self.seconds = min(time.monotonic() - self._before[0], self._processor_s() - self._before[1])

    def _processor_s(self) -> float:
        gc.collect()  # ends the child of a template that is not used any more
        return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


class PeakMemory:
    """The most memory of this process while a block runs, in MiB above what it had."""

    def __enter__(self) -> Self:
        self._before = self._now()
        self.mib = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_rest: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.01):
            self.mib = max(self.mib, self._now() - self._before)

    def _now(self) -> float:
        return float(psutil.Process().memory_info().rss) / 2**20


def attack(source: str) -> str:
    """Run an attack within its bounds; return the text, nothing where it ended in one line."""
    with Clock() as clock, PeakMemory() as peak:
        text, error = outcome(source)
    assert clock.seconds < MOST_SECONDS
    assert peak.mib < MOST_MIB
    assert error.isprintable()
    assert len(error) <= MOST_CHARACTERS
    return text


def outcome(source: str) -> tuple[str, str]:
    try:
        return ChatTemplate(source).render(HELLO), ""
    except PromptError as error:
        return "", str(error)


@pytest.mark.parametrize("name", QUICK)
def test_an_attack_of_every_family_ends_in_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "TIMER_S", 0.5)  # the other limits are as they are
    attack(ATTACKS[name])


def test_every_family_is_tried() -> None:
    assert [name.rpartition(" ")[0] for name in QUICK] == list(FAMILIES)


@pytest.mark.long
@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_ends_in_one_line(name: str) -> None:
    text = attack(ATTACKS[name])
    assert not [word for word in ("root:", "<module", "globals", "environ", "subclass") if word in text]


@pytest.mark.long
def test_an_endless_template_ends_at_its_own_limits() -> None:
    with Clock() as clock, pytest.raises(PromptError, match="without end"):
        ChatTemplate(LOOP).render(HELLO)
    assert clock.seconds < MOST_SECONDS


def test_a_template_on_a_busy_machine_gets_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = ChildRenderer("{{ n }}{% for a in range(300) %}{% for b in range(9999) %}{% endfor %}{% endfor %}")
    monkeypatch.setattr(rendering, "TIMER_S", 0.04)
    monkeypatch.setattr(rendering, "MOST_TIMERS", 10_000)
    monkeypatch.setattr(rendering, "FAIR_SHARE", 10_000.0)  # as if the child had got next to nothing
    assert renderer.render({"n": 1}, input_characters=1) == "1"
    monkeypatch.setattr(rendering, "FAIR_SHARE", 0.0)
    with pytest.raises(TemplateFailure, match=r"runs over 0\.04 seconds"):
        renderer.render({"n": 1}, input_characters=1)


def test_a_template_reaches_no_file() -> None:
    reads = ChildRenderer("{{ messages }}")
    assert reads.render({"messages": "x"}, input_characters=1) == "x"
    child = reads._child
    assert child is not None
    limits = psutil.Process(child._process.pid).rlimit(psutil.RLIMIT_NOFILE) if sys.platform == "linux" else (0, 0)
    assert limits[0] == 0


def test_a_template_that_was_ended_serves_again() -> None:
    renderer = ChildRenderer("{% if loops %}" + NESTED_TUPLE + "{{ {ns.t: 1}|length }}{% endif %}ok")
    with pytest.raises(TemplateFailure, match="crashed"):
        renderer.render({"loops": True}, input_characters=1)
    assert renderer.render({"loops": False}, input_characters=1) == "ok"


def test_the_process_ends_with_its_template() -> None:
    renderer = ChildRenderer("x")
    child = renderer._child
    assert child is not None
    pid = child._process.pid
    del renderer, child
    assert not psutil.pid_exists(pid)


def test_many_threads_share_one_template() -> None:
    renderer, failures = ChildRenderer("{{ n }}"), list[int]()

    def ask(number: int) -> None:
        for _ in range(20):
            if renderer.render({"n": number}, input_characters=1) != str(number):
                failures.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_the_demos_template_runs_here_and_others_do_not() -> None:
    assert isinstance(open_renderer(template("thinking").source), LocalRenderer)
    assert isinstance(open_renderer(template("thinking").source + " "), ChildRenderer)


@needs_facts
@pytest.mark.parametrize("name", ["mlx_processor_thinking", "mlx_processor_instruct"])
def test_the_published_templates_run_here(name: str) -> None:
    source = (FACTS / "raw" / name / "chat_template.jinja").read_text(encoding="utf-8")
    assert isinstance(open_renderer(source), LocalRenderer)


def test_in_a_frozen_app_templates_run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert isinstance(open_renderer("x"), LocalRenderer)
    with pytest.raises(PromptError, match="refused"):
        ChatTemplate("{{ messages.append(1) }}").render(HELLO)


def test_where_the_system_bounds_no_memory_it_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.prompt.text.sandbox.MAX_MEMORY_BYTES", 1 << 20)
    monkeypatch.setattr("edge.prompt.text.rendering.sys.platform", "darwin")
    with pytest.raises(TemplateFailure, match="too much memory"):
        ChildRenderer(LOOP).render({}, input_characters=0)


def test_texts_of_any_kind_go_through() -> None:
    text = "\x00\x1b\ufdd0\U0001f600\u2028" + "x" * 3_000_000
    assert ChildRenderer("{{ t }}").render({"t": text}, input_characters=len(text)) == text
