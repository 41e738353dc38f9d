"""Read Ollama's `options`: how tokens are chosen, how many, and what ends the answer."""

from __future__ import annotations

from typing import Any

from edge.errors import RequestError
from edge.records import dataclass
from edge.run.sample import SamplingParams
from edge.server.arguments import ServerLimits
from edge.server.errors import ApiError
from edge.server.fields import Fields
from edge.server.openai.chat_request import read_stop
from edge.server.openai.sampling import Sampling, read_top_p

NUMBERS = {
    "temperature": "temperature",
    "min_p": "min_p",
    "repeat_penalty": "repetition_penalty",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}
"""Ollama's name -> the field of `SamplingParams`."""
MACHINE = ("num_batch", "num_gpu", "main_gpu", "num_thread", "use_mmap", "use_mlock", "low_vram", "numa")
"""How Ollama is to use the machine; the answer stays the same."""
OFF = {"typical_p": 1, "mirostat": 0, "tfs_z": 1}
"""Samplers that are not had here, and the value that turns them off."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was said about tokens.

    Attributes:
        sampling: How they are chosen.
        max_tokens: Most of them; None sets no limit.
        stop: Strings that end the answer.
        ignored: Options without effect here.
    """

    sampling: Sampling
    max_tokens: int | None
    stop: tuple[str, ...]
    ignored: tuple[str, ...]


def read_options(fields: Fields, *, limits: ServerLimits) -> Options:
    """Take `options`.

    Raises:
        ApiError: A value is of the wrong type or out of range.
    """
    options = fields.inner("options")
    given: dict[str, Any] = {ours: options.number(theirs) for theirs, ours in NUMBERS.items()}  # Any: types differ
    given["top_p"] = read_top_p(options)
    top_k, seed = options.whole("top_k"), options.whole("seed")
    given["top_k"] = None if top_k is None else max(0, top_k)  # zero and below keep all
    given["seed"] = None if seed is None or seed < 0 else seed % (1 << 64)  # below zero: any
    given = {name: value for name, value in given.items() if value is not None}
    _check(given)
    max_tokens = _read_num_predict(options, limits)
    stop = read_stop(options)
    options.ignore(*MACHINE)
    for name, value in OFF.items():
        if f"options.{name}" in options.left and (found := options.number(name)) != value:
            raise options.wrong(name, f"{value}; this sampler is not had here", found)
    return Options(Sampling(given), max_tokens, stop, tuple(options.left))


def _read_num_predict(options: Fields, limits: ServerLimits) -> int | None:
    """Take the most tokens of an answer; 0 and below set no limit, as with Ollama."""
    count = options.whole("num_predict")
    if count is None or count < 1:
        return limits.answer_tokens
    if count > (limits.answer_tokens or count):
        raise options.wrong("num_predict", f"-1, or 1 to {limits.answer_tokens or 'the context'}", count)
    return count


def _check(given: dict[str, Any]) -> None:  # Any: as above
    """Refuse values out of range under the names the client used."""
    try:
        SamplingParams(**given)
    except RequestError as error:
        name = next((theirs for theirs, ours in NUMBERS.items() if ours == error.field), error.field or "")
        text = str(error).replace(f"{error.field}:", f"options.{name}:", 1)
        raise ApiError("invalid_request", text, param=f"options.{name}") from None
