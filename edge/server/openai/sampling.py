"""Read how tokens are to be chosen: OpenAI's fields and those that other local servers added."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from edge.records import dataclass
from edge.run.sample import SamplingParams
from edge.server.fields import Fields

NUMBERS = ("temperature", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty")


LEAST_TOP_P = 1e-6
"""What 0 becomes, which all protocols allow: the likeliest token alone."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """The fields of `SamplingParams` that a client gave.

    Attributes:
        given: Their values.
        names: Those that the client wrote under another name, with that name.
    """

    given: Mapping[str, Any]  # Any: their types differ
    names: Mapping[str, str] = field(default_factory=dict)

    def params(self, default: SamplingParams) -> SamplingParams:
        """Put them over a checkpoint's own.

        Raises:
            RequestError: A value is out of range.
        """
        return replace(default, **self.given)


def read_sampling(fields: Fields) -> Sampling:
    """Take the fields.

    Raises:
        ApiError: One is of the wrong type.
    """
    given: dict[str, Any] = {name: fields.number(name) for name in NUMBERS}
    given["top_p"] = read_top_p(fields)
    repeat = fields.number("repeat_penalty")  # llama.cpp's word
    names = {}
    if given["repetition_penalty"] is None and repeat is not None:
        given["repetition_penalty"], names = repeat, {"repetition_penalty": "repeat_penalty"}
    top_k = fields.whole("top_k")
    given["top_k"] = 0 if top_k == -1 else top_k  # vLLM's word for all
    seed = fields.whole("seed")
    given["seed"] = None if seed is None else seed % (1 << 64)  # OpenAI allows negative ones
    given["logit_bias"] = _read_bias(fields)
    return Sampling({name: value for name, value in given.items() if value is not None}, names)


def read_top_p(fields: Fields) -> float | None:
    """Take `top_p`; 0 keeps the likeliest token."""
    top_p = fields.number("top_p")
    return LEAST_TOP_P if top_p == 0 else top_p


def _read_bias(fields: Fields) -> dict[int, float] | None:
    bias = fields.object("logit_bias")
    if bias is None:
        return None
    for key, value in bias.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not re.fullmatch(r"\d{1,9}", key, re.ASCII) or not is_number:
            raise fields.wrong("logit_bias", "token ids as text, each with a number from -100 to 100", {key: value})
    return {int(key): float(value) for key, value in bias.items()}
