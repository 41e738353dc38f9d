from __future__ import annotations

from typing import Any

import pytest

from edge.prompt.text.sandbox import TemplateFailure, compile_template, render_template

HELLO = [{"role": "user", "content": "hi"}]


def render(source: str, messages: Any = HELLO) -> str:
    return render_template(compile_template(source), {"messages": messages}, max_characters=10_000)


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
        ("{% generation %}a{% endgeneration %}b", "ab"),
        ("{% for m in messages %}{% generation %}{{ m.role }}{% endgeneration %}{% endfor %}", "user"),
        ("{%- generation -%}\n a {%- endgeneration %}", "a"),
        ("{% generation %}{% if true %}x{% endif %}{% generation %}y{% endgeneration %}{% endgeneration %}", "xy"),
        ("{{ 'ab'.center(4) }}{{ 'a'.encode().decode() }}{{ 'x{}'.format(1) }}", " ab ax1"),
        ("{{ dict(a=1).a }}{{ strftime_now('%%') }}", "1%"),
    ],
)
def test_what_templates_use_works(source: str, expected: str) -> None:
    assert render(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ [].append(1) }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({}) }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ messages() }}",
        "{{ strftime_now('x' * 1000) }}",
        "{% include 'x' %}",
        "{% import 'os' as os %}",
        "{% extends 'x' %}",
    ],
)
def test_templates_do_not_reach_python(source: str) -> None:
    with pytest.raises(TemplateFailure):
        render(source)


@pytest.mark.parametrize(
    "source", ["{{ messages.__class__ }}", "{{ self.__init__ }}", "{{ ''.join.__self__ }}", "{{ range.__func__ }}"]
)
def test_hidden_attributes_are_not_there(source: str) -> None:
    assert render(source) == ""


def test_a_block_left_open_is_not_valid() -> None:
    with pytest.raises(TemplateFailure, match="endgeneration") as caught:
        compile_template("{% generation %}x")
    assert caught.value.kind == "invalid"


def test_output_and_source_have_a_limit() -> None:
    with pytest.raises(TemplateFailure, match="writes over 10000 characters"):
        render("{% for i in range(10001) %}x{% endfor %}")
    with pytest.raises(TemplateFailure, match="at most 262144 are read"):
        compile_template("x" * 300_000)
