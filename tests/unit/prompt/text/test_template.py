from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from edge.errors import ConfigError, PromptError
from edge.prompt.text.template import ChatTemplate, find_template
from tests.prompt_parts import DATA, TEMPLATES, VARIANTS, Variant, template

JSON_FILES = ("chat_template.json", "tokenizer_config.json")
HELLO = [{"role": "user", "content": "hi"}]


def render(source: str, messages: Any = HELLO) -> str:
    return ChatTemplate(source).render(messages)


GOLDEN = json.loads((DATA / "golden_chats.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("case", GOLDEN, ids=[case["name"] for case in GOLDEN])
def test_our_templates_write_what_the_published_ones_write(variant: Variant, case: dict[str, Any]) -> None:
    text = template(variant).render(
        case["messages"],
        tools=case["tools"],
        add_generation_prompt=case["add_generation_prompt"],
        variables=case["variables"],
    )
    assert text == case[variant]


def test_every_copy_of_the_demos_template_is_the_same() -> None:
    demo = TEMPLATES["thinking"].parent
    copies = [json.loads((demo / name).read_text())["chat_template"] for name in JSON_FILES]
    copies.append((DATA.parents[1] / "examples" / "demo_model" / "chat_template.jinja").read_text())
    assert copies == [TEMPLATES["thinking"].read_text()] * 3


def test_variants_open_the_answer_as_trained() -> None:
    assert template("instruct").render(HELLO) == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    assert template("thinking").render(HELLO).endswith("<|im_start|>assistant\n<think>\n")


def test_json_is_written_as_transformers_does() -> None:
    tool = {"name": "f", "b": 1, "a": "é<>&'", "none": None}
    assert json.dumps(tool, ensure_ascii=False) in template("instruct").render(HELLO, tools=[tool])
    assert render("{{ {'b': 1, 'a': [1.5]}|tojson(indent=2) }}") == '{\n  "b": 1,\n  "a": [\n    1.5\n  ]\n}'


def test_blocks_are_trimmed_as_in_transformers() -> None:
    assert render("  {% if true %}\nx\n  {% endif %}\ny") == "x\ny"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ 'a' ~ 1 ~ true }}", "a1True"),
        ("{{ messages|map(attribute='role')|join(', ') }}", "user"),
        ("{{ messages|selectattr('role', 'equalto', 'user')|list|length }}", "1"),
        ("{% for i in range(5) if i is odd %}{{ i }}{{ ',' if not loop.last }}{% endfor %}", "1,3"),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("{% set ns = namespace(n=0) %}{% for i in range(4) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "6"),
        ("{{ 'a\nb'|indent(2) }}|{{ 'aXb'.replace('X', '-') }}|{{ 'aXb'|replace('X', '+') }}", "a\n  b|a-b|a+b"),
        ("{{ messages[::-1][0].content[1:] }}", "i"),
        ("{{ 'a,b'.split(',')|last }}{{ ', '.join(['x', 'y']) }}", "bx, y"),
        ("{{ [3, 1, 2]|sort|first }}{{ {'k': 1}.items()|list }}", "1[('k', 1)]"),
        ("{% macro m(x, y=2) %}{{ x }}{{ y }}{% endmacro %}{{ m(1) }}{{ m(1, y=3) }}", "1213"),
        ("{% set x %}a{% endset %}{{ x }}{% filter upper %}b{% endfilter %}", "aB"),
        ("{{ 7 % 4 }}{{ 2 ** 3 }}{{ 'ab' * 2 }}{{ 1 in [1, 2] }}{{ 'x' in 'xy' }}", "38ababTrueTrue"),
        ("{{ nothing }}{{ messages[0].nothing is defined }}{{ none }}", "FalseNone"),
        ("{{ cycler('a', 'b').next() }}{% set j = joiner('-') %}{{ j() }}x{{ j() }}", "ax-"),
        ("{{ dict(a=1).a }}{{ strftime_now('%%') }}", "1%"),
    ],
)
def test_what_templates_use_works(source: str, expected: str) -> None:
    assert render(source) == expected


DOUBLING = (
    "{% set ns = namespace(v=[1], w=[1]) %}{% for i in range(60) %}"
    "{% set ns.v = [ns.v, ns.v] %}{% set ns.w = [ns.w, ns.w] %}{% endfor %}"
)
GROWING = "{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = EXPR %}{% endfor %}"


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) recursive %}{{ loop(range(100000)) }}{% endfor %}",
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        "{% block a %}{{ self.a() }}{% endblock %}",
        "{% for a in range(100000) if a in range(100000)|list %}{% endfor %}",
        "{{ range(100000)|select('in', range(100000)|list)|list|length }}",
        "{{ range(10**9)|list }}",
        DOUBLING + "{{ ns.v }}",
        DOUBLING + "{{ ns.v == ns.w }}",
        DOUBLING + "{{ ns.v|tojson }}",
        DOUBLING + "{{ [ns.v, ns.w]|sort }}",
        DOUBLING + "{{ [ns.v]|join }}",
        DOUBLING + "{{ ns.v in [ns.w] }}",
        DOUBLING.replace("[ns.v, ns.v]", "(ns.v, ns.v)") + "{{ {ns.v: 1} }}",
        DOUBLING.replace("[ns.v, ns.v]", "(ns.v, ns.v)") + "{{ messages[0][ns.v] }}",
        GROWING.replace("EXPR", "ns.s ~ ns.s"),
        GROWING.replace("EXPR", "ns.s + ns.s"),
        GROWING.replace("EXPR", "ns.s.replace('a', ns.s)"),
        GROWING.replace("EXPR", "ns.s|replace('a', ns.s)"),
        GROWING.replace("EXPR", "ns.s.join([ns.s, ns.s])"),
        GROWING.replace("EXPR", "[ns.s, ns.s]|join(ns.s)"),
        "{{ 'a' * 10**9 }}",
        "{{ [1] * 10**9 }}",
        "{{ 9**9**9 }}",
        "{{ ('x' * 1000000)|list|join('y' * 1000000) }}",
        GROWING.replace("EXPR", "[ns.s, ('x' * 1000000)[1:]]"),
        "{% set x %}{% for i in range(100000) %}" + "a" * 1000 + "{% endfor %}{% endset %}",
        "{% for i in range(100000) %}" + "a" * 1000 + "{% endfor %}",
        "{{ 'x'|tojson(indent=100000000) }}",
        "{{ " + "(" * 50000 + " }}",
        "{% if 1 %}" * 5000,
        "{{ 1 }}" * 50000,
    ],
)
def test_templates_end_in_bounded_time_and_memory(source: str) -> None:
    started = time.thread_time()
    with pytest.raises(PromptError, match="is refused") as caught:
        render(source)
    assert time.thread_time() - started < 8
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ [].append(1) }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({}) }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ '%s' % messages }}",
        "{{ 'a'.ljust(10**9) }}",
        "{{ 'a'.encode() }}",
        "{{ messages() }}",
        "{{ namespace }}",
        "{{ range }}",
        "{% set ns = namespace() %}{% set ns.__class__ = 1 %}",
        "{{ namespace(__call__=1) }}",
        "{{ lipsum() }}",
        "{{ strftime_now('x' * 1000) }}",
        "{{ 'x'|attr('__class__') }}",
        "{{ 'x'|center(10**9) }}",
        "{{ messages|pprint }}",
        "{% include 'x' %}",
        "{% import 'os' as os %}",
        "{% extends 'x' %}",
    ],
)
def test_templates_do_not_reach_python(source: str) -> None:
    with pytest.raises(PromptError):
        render(source)


@pytest.mark.parametrize(
    "source", ["{{ messages.__class__ }}", "{{ self.__init__ }}", "{{ ''.join.__self__ }}", "{{ range.__func__ }}"]
)
def test_hidden_attributes_are_not_there(source: str) -> None:
    assert render(source) == ""


def test_limits_hold_on_other_threads() -> None:
    looping = ChatTemplate("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}")
    good = template("thinking")
    failures: list[str] = []

    def loop() -> None:
        with pytest.raises(PromptError, match="loop without end"):
            looping.render(HELLO)

    def answer() -> None:
        for _ in range(50):
            if not good.render(HELLO).endswith("<think>\n"):
                failures.append("wrong text")

    threads = [threading.Thread(target=target) for target in (loop, loop, answer)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_long_talks_stay_within_the_limits(variant: Variant) -> None:
    talk = [{"role": ("user", "assistant")[i % 2], "content": "x"} for i in range(20001)]
    assert template(variant).render(talk).count("<|im_start|>") == 20002
    assert len(template(variant).render([{"role": "user", "content": "x" * 3_000_000}])) > 3_000_000


def test_a_template_may_refuse_messages() -> None:
    with pytest.raises(PromptError, match=r"does not take these messages: TemplateError: roles must alternate"):
        render("{{ raise_exception('roles must\n alternate') }}")


@pytest.mark.parametrize("source", ["{% if %}", "{{ 'a' ", "{% nonsense %}", "{{ x|nonsense }}"])
def test_broken_templates_are_named(source: str) -> None:
    with pytest.raises(PromptError, match="not a valid chat template"):
        ChatTemplate(source)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("chat_template.jinja", "T"),
        ("chat_template.json", '{"chat_template": "T"}'),
        ("tokenizer_config.json", '{"chat_template": "T"}'),
        (
            "tokenizer_config.json",
            '{"chat_template": [{"name": "x", "template": "X"}, {"name": "default", "template": "T"}]}',
        ),
    ],
)
def test_templates_are_found_in_every_place(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert find_template(tmp_path).source == "T"


def test_the_plain_file_wins(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "old"}')
    (tmp_path / "chat_template.jinja").write_text("new")
    assert find_template(tmp_path).source == "new"


def test_a_folder_without_template_names_the_files(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text("{}")
    with pytest.raises(PromptError, match=r"found none\. Download"):
        find_template(tmp_path)
    (tmp_path / "chat_template.json").write_text("{")
    with pytest.raises(ConfigError, match=r"chat_template\.json"):
        find_template(tmp_path)
