"""Measure another runtime beside this one, question by question by turns, through its OpenAI-compatible server.

In: the address of a server that runs there already. Out: figures of both and their ratio, with its spread. Both answer
the same messages with the same number of tokens, greedily; whoever was first in one pair is second in the next.
"""

from __future__ import annotations

import base64
import io
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

from edge.bench.asking import Asking
from edge.bench.figures import Figure, figure_of
from edge.conversation import Message, user_message
from edge.errors import EdgeError, UsageError
from edge.records import dataclass

_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds to the first token of an answer, and tokens per second after it."""

    first_s: float
    tokens_per_s: float


class Server:
    """Another runtime's server."""

    def __init__(self, url: str) -> None:
        """Ask the server which model it has.

        Args:
            url: Such as http://127.0.0.1:8080 or http://127.0.0.1:8080/v1.

        Raises:
            UsageError: This is no address.
            EdgeError: Nothing answers there.
        """
        if urllib.parse.urlparse(url).scheme not in ("http", "https"):
            raise UsageError(f"--against {url!r}: expected an address such as http://127.0.0.1:8080/v1.")
        trimmed = url.rstrip("/")
        self.url = trimmed if trimmed.endswith("/v1") else f"{trimmed}/v1"
        found = self._open("/models")
        try:
            self.model = str(json.load(found)["data"][0]["id"])
        except (ValueError, KeyError, IndexError, TypeError):
            raise EdgeError(f"{self.url}/models: expected a list of models, found something else.") from None

    def answer(self, messages: Sequence[Message], num_tokens: int) -> Timing:
        """Stream one answer.

        Raises:
            EdgeError: The server refused it, or sent no token.
        """
        body = {
            "model": self.model,
            "messages": list(messages),
            "max_tokens": num_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
            "ignore_eos": True,
        }
        started, times, count = time.perf_counter(), [], 0
        for event in self._events(self._open("/chat/completions", body)):
            usage = event.get("usage") or {}
            count = int(usage.get("completion_tokens") or count)
            if any(_has_text(choice.get("delta") or {}) for choice in event.get("choices") or []):
                times.append(time.perf_counter())
        if not times:
            raise EdgeError(f"{self.url}: expected a streamed answer, found no piece of text in it.")
        count = count or len(times)
        lasted = times[-1] - times[0]
        return Timing(times[0] - started, (count - 1) / lasted if lasted > 0 else 0.0)

    def _open(self, path: str, body: dict[str, Any] | None = None) -> Any:  # Any: JSON; a response
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            return urllib.request.urlopen(request, timeout=_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            said = error.read(300).decode(errors="replace")
            raise EdgeError(f"{self.url}{path}: expected an answer, found status {error.code}: {said}") from None
        except (OSError, ValueError) as error:
            raise EdgeError(f"{self.url}{path}: expected a server there, found {error}. Start it first.") from None

    @staticmethod
    def _events(response: Any) -> Iterator[dict[str, Any]]:  # Any: JSON
        with response:
            for raw in response:
                text = raw.decode("utf-8", errors="replace").strip()
                if text.startswith("data:") and not text.endswith("[DONE]"):
                    found = json.loads(text.removeprefix("data:"))
                    if isinstance(found, dict):
                        yield found


def paired_figures(
    asking: Asking, server: Server, *, depths: Sequence[int], picture: tuple[int, int] | None, tokens: int, pairs: int
) -> Iterator[Figure]:
    """Measure both by turns.

    Args:
        asking: This runtime.
        server: The other one.
        depths: Tokens of prompts.
        picture: Width and height of a picture to ask about too.
        tokens: Tokens of an answer.
        pairs: Pairs of answers for each.
    """
    for depth in depths:
        both = [_pair(asking, server, asking.prompt(depth), tokens, number) for number in range(pairs)]
        yield from _compared(both, tokens=depth)
    if picture is not None:
        both = []
        for number in range(pairs):
            drawn = asking.picture(*picture)
            messages = [user_message("What is in this picture?", images=[drawn])]
            theirs = [
                {
                    "role": "user",
                    "content": [_picture_part(drawn), {"type": "text", "text": "What is in this picture?"}],
                }
            ]
            both.append(_pair(asking, server, messages, tokens, number, theirs=theirs))
        yield from _compared(both, picture=f"{picture[0]}x{picture[1]}")


def _pair(
    asking: Asking,
    server: Server,
    messages: list[Message],
    num_tokens: int,
    number: int,
    *,
    theirs: list[Message] | None = None,
) -> tuple[Timing, Timing]:
    def ours() -> Timing:
        usage = asking.run(messages, num_tokens)
        return Timing(usage.first_token_s, usage.decode_tokens_per_s)

    if number % 2:
        other = server.answer(theirs or messages, num_tokens)
        return ours(), other
    mine = ours()
    return mine, server.answer(theirs or messages, num_tokens)


def _compared(both: Sequence[tuple[Timing, Timing]], **settings: int | str) -> Iterator[Figure]:
    for what, unit, values in (
        ("first token", "s", [(mine.first_s, other.first_s) for mine, other in both]),
        ("decode", "tokens/s", [(mine.tokens_per_s, other.tokens_per_s) for mine, other in both]),
    ):
        yield figure_of(what, [mine for mine, _ in values], unit, of="edge", **settings)
        yield figure_of(what, [other for _, other in values], unit, of="the other", **settings)
        ratios = [other / mine if unit == "s" else mine / other for mine, other in values if mine and other]
        if ratios:
            yield figure_of(f"{what}, times faster", ratios, "x", **settings)


def _has_text(delta: dict[str, Any]) -> bool:  # Any: JSON
    return any(delta.get(name) for name in ("content", "reasoning_content", "reasoning"))


def _picture_part(picture: Any) -> dict[str, Any]:  # Any: an array; JSON
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG")
    url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": url}}
