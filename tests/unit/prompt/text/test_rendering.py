"""Templates that are not known run in a process of their own, and end."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import psutil
import pytest

from edge.errors import PromptError
from edge.prompt.text import rendering
from edge.prompt.text.rendering import ChildRenderer, LocalRenderer, open_renderer
from edge.prompt.text.sandbox import TemplateFailure
from edge.prompt.text.template import ChatTemplate
from tests.prompt_parts import template
from tests.shared_facts import FACTS, needs_facts

HELLO: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
LOOP = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}"
NESTED_TUPLE = (
    "{% set ns = namespace(t=()) %}{% for a in range(4) %}{% for i in range(75000) %}"
    "{% set ns.t = (ns.t,) %}{% endfor %}{% endfor %}{{ {ns.t: 1}|length }}"
)
DOUBLING = (
    "{% set ns = namespace(v=[1], w=[1]) %}{% for i in range(60) %}"
    "{% set ns.v = [ns.v, ns.v] %}{% set ns.w = [ns.w, ns.w] %}{% endfor %}"
)
GROWING = "{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = EXPR %}{% endfor %}"
ATTACKS = [
    LOOP,
    NESTED_TUPLE,
    DOUBLING + "{{ ns.v == ns.w }}",
    DOUBLING + "{{ ns.v|tojson }}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
    GROWING.replace("EXPR", "ns.s ~ ns.s"),
    GROWING.replace("EXPR", "ns.s.replace('a', ns.s)"),
    "{{ 'a' * 10**9 }}",
    "{{ messages[0].role * 10**9 }}",
    "{{ messages[0].role|center(10**9) }}",
    "{{ 9**(9**9) }}",
    "{{ ('x' * 1000000)|list|join('y' * 1000000) }}",
    "{{ range(10**9)|list }}",
    "{% for i in range(100000) %}" + "a" * 1000 + "{% endfor %}",
    "{{ " + "(" * 50000 + " }}",
    "{% if 1 %}" * 5000,
    "{{ raise_exception('\x1b]0;owned\x07' * 100000) }}",
    "{{ 'a'.join(range(99999)|map('string')) * 9999 }}",
]


def memory_mib() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20


@pytest.mark.parametrize("source", ATTACKS)
def test_every_attack_ends_in_one_line(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "TIMER_S", 1.5)  # the other limits are as they are
    started, before = time.monotonic(), memory_mib()
    with pytest.raises(PromptError, match=r"is refused|not a valid|does not take") as caught:
        ChatTemplate(source).render(HELLO)
    assert time.monotonic() - started < 10
    assert memory_mib() - before < 200
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 500


def test_an_endless_template_ends_at_its_own_limits() -> None:
    started = time.monotonic()
    with pytest.raises(PromptError, match="without end"):
        ChatTemplate(LOOP).render(HELLO)
    assert time.monotonic() - started < 10


def test_a_template_reaches_no_file() -> None:
    reads = ChildRenderer("{{ messages }}")
    assert reads.render({"messages": "x"}, input_characters=1) == "x"
    child = reads._child
    assert child is not None
    limits = psutil.Process(child._process.pid).rlimit(psutil.RLIMIT_NOFILE) if sys.platform == "linux" else (0, 0)
    assert limits[0] == 0


def test_a_template_that_was_ended_serves_again() -> None:
    renderer = ChildRenderer("{% if loops %}" + NESTED_TUPLE + "{% endif %}ok")
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
