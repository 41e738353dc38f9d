from __future__ import annotations

import json
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
