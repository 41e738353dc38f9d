"""Read what the answer must obey: a JSON Schema, any JSON object, a regular expression or a grammar."""

from __future__ import annotations

from typing import Any

from edge.records import dataclass
from edge.server.fields import Fields

Json = Any
BESIDE_SCHEMA = ("name", "strict", "description")
"""A schema's name, and words about it: it is held in any case."""


@dataclass(frozen=True, slots=True)
class Format:
    """What the answer must obey.

    Attributes:
        schema: A schema, or "json".
        grammar: A grammar.
        name: The client's field that holds it.
        ignored: What stands beside it without effect.
    """

    schema: Json = None
    grammar: Json = None
    name: str = ""
    ignored: tuple[str, ...] = ()

    @property
    def names(self) -> dict[str, str]:
        """What the engine's fields are called in the request."""
        return {"schema": self.name, "grammar": self.name}


def read_format(fields: Fields) -> Format:
    """Take `response_format`.

    Raises:
        ApiError: It is of no known kind, or its schema is missing.
    """
    form = fields.inner("response_format")
    kind = form.choice("type", ("text", "json_object", "json_schema", "regex", "lark"))
    if kind is None and form.left:
        raise form.wrong("type", "text, json_object, json_schema, regex or lark", None)
    if kind == "json_schema":
        given = form.inner("json_schema")
        schema = given.any("schema")
        if not isinstance(schema, dict | bool):
            raise given.wrong("schema", "a JSON Schema", schema)
        given.ignore(*BESIDE_SCHEMA)
        return Format(schema, None, "response_format.json_schema.schema", (*form.left, *given.left))
    if kind == "json_object":
        schema = form.object("schema")  # as llama.cpp takes it
        return Format("json" if schema is None else schema, None, "response_format.schema", tuple(form.left))
    if kind in ("regex", "lark"):
        return Format(None, {kind: form.any(kind)}, f"response_format.{kind}", tuple(form.left))
    return Format(ignored=tuple(form.left))


def read_text_format(fields: Fields) -> Format:
    """Take the format in `text`, where /v1/responses has it.

    Raises:
        ApiError: It is of no known kind, or its schema is missing.
    """
    text = fields.inner("text")
    text.ignore("verbosity")
    form = text.inner("format")
    kind = form.choice("type", ("text", "json_object", "json_schema"))
    if kind is None and form.left:
        raise form.wrong("type", "text, json_object or json_schema", None)
    schema: Json = None
    if kind == "json_schema":
        schema = form.any("schema")
        if not isinstance(schema, dict | bool):
            raise form.wrong("schema", "a JSON Schema", schema)
        form.ignore(*BESIDE_SCHEMA)
    elif kind == "json_object":
        schema = "json"
    return Format(schema, None, "text.format.schema", (*text.left, *form.left))
