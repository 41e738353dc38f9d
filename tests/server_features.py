"""Try the features of this server, of llama.cpp's and of mlx-vlm's with one and the same requests.

`python -m tests.server_features [--gguf MODEL MMPROJ] [--mlx-vlm PYTHON FOLDER]` prints a table, a line a feature. The
files are those of `tests.server_speed beside`. A cell says what was seen, not what a manual promises: "yes", or the
status and the first words of what came instead. Answers are those of the embedded demo, which knows drawn scenes.
"""

from __future__ import annotations

import argparse
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import jsonschema

from edge.loading import demo_folder
from tests.server_speed.beside import add_peers, peers
from tests.system.questions import WEATHER
from tests.unit.server.test_attacks import data_url

Json = Any
TIMEOUT_S = 240.0
SHAPE = {
    "type": "object",
    "properties": {"shape": {"enum": ["circle", "square"]}, "count": {"type": "integer"}},
    "required": ["shape", "count"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Peer:
    """A running server.

    Attributes:
        address: host:port.
        model: The name it takes in requests.
    """

    address: str
    model: str

    def post(self, path: str, body: Json, **headers: str) -> httpx.Response:
        """Send a JSON body."""
        return httpx.post(f"http://{self.address}{path}", json=body, headers=headers, timeout=TIMEOUT_S)

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask for a path."""
        return httpx.get(f"http://{self.address}{path}", headers=headers, timeout=TIMEOUT_S)

    def chat(self, content: Json = "Hello!", **fields: Any) -> httpx.Response:
        """Ask for a greedy chat completion of one user message."""
        messages = [{"role": "user", "content": content}]
        body = {"model": self.model, "messages": messages, "max_tokens": 200, "temperature": 0, **fields}
        return self.post("/v1/chat/completions", body)


Probe = Callable[[Peer], str]
PROBES: dict[str, Probe] = {}


def probe(name: str) -> Callable[[Probe], Probe]:
    """Put a probe into the table under a name."""

    def add(tried: Probe) -> Probe:
        PROBES[name] = tried
        return tried

    return add


def told(reply: httpx.Response) -> str:
    """Return the status and the first words of a reply: of its answer, or of its error."""
    words = reply.text
    if message(reply):
        kept = {key: value for key, value in message(reply).items() if value and key != "role"}
        words = "an answer: " + (str(kept.get("content") or kept))
    elif reply.headers.get("content-type", "").startswith("application/json") and isinstance(reply.json(), dict):
        error = reply.json().get("error") or reply.json().get("detail") or reply.json()
        words = str(error.get("message") or error) if isinstance(error, dict) else str(error)
    return f"{reply.status_code} {' '.join(words.split())[:60]}".replace("|", "/").replace("<", "&lt;")


def yes_if(is_so: bool, reply: httpx.Response) -> str:
    """Return "yes", or what came instead."""
    return "yes" if is_so else told(reply)


def message(reply: httpx.Response) -> Json:
    """Return the first choice's message; an empty one for an error."""
    return reply.json()["choices"][0]["message"] if reply.status_code == 200 and "choices" in reply.json() else {}


def sample(name: str, kind: str) -> str:
    """Return a sample of the package as a data URL."""
    return data_url((demo_folder() / "samples" / name).read_bytes(), kind)


def picture(name: str) -> Json:
    """Return a picture part."""
    return {"type": "image_url", "image_url": {"url": sample(name, "image/png")}}


def asked(text: str) -> Json:
    """Return a text part."""
    return {"type": "text", "text": text}


def is_refused(reply: httpx.Response) -> str:
    """Return "yes" for a refusal that is the caller's fault."""
    return yes_if(400 <= reply.status_code < 500, reply)


@probe("a picture as data URL, read rightly")
def _picture(peer: Peer) -> str:
    reply = peer.chat([picture("sign.png"), asked("What is written here?")])
    return yes_if("APPLE" in str(message(reply).get("content")), reply)


@probe("two pictures compared rightly")
def _two_pictures(peer: Peer) -> str:
    parts = [picture("before.png"), picture("after.png"), asked("What changed between the two pictures?")]
    right = peer.chat(parts, max_tokens=400)
    return yes_if("changed from black to green" in str(message(right).get("content")), right)


@probe("a video part (`video_url`)")
def _video(peer: Peer) -> str:
    part = {"type": "video_url", "video_url": {"url": sample("appear.mp4", "video/mp4")}}
    reply = peer.chat([part, asked("At which second does the shape appear?")])
    return yes_if(bool(message(reply).get("content")), reply)


@probe("the thought apart from the answer")
def _thought(peer: Peer) -> str:
    reply = peer.chat([picture("scene.png"), asked("How many circles are there?")])
    found = message(reply)
    has_thought = found.get("reasoning_content") or found.get("reasoning")
    return yes_if(bool(has_thought) and "</think>" not in str(found.get("content")), reply)


@probe("no thought when asked (`reasoning_effort` none)")
def _no_thought(peer: Peer) -> str:
    reply = peer.chat([picture("scene.png"), asked("How many circles are there?")], reasoning_effort="none")
    found = message(reply)
    thought = str(found.get("reasoning_content") or found.get("reasoning") or "").strip()
    return yes_if(bool(found.get("content")) and not thought, reply)


@probe("a JSON Schema obeyed (`response_format`), the thought free")
def _schema(peer: Peer) -> str:
    form = {"type": "json_schema", "json_schema": {"name": "shapes", "strict": True, "schema": SHAPE}}
    reply = peer.chat([picture("scene.png"), asked("How many circles are there?")], response_format=form)
    try:
        jsonschema.validate(json.loads(message(reply)["content"]), SHAPE)
    except (ValueError, KeyError, TypeError, jsonschema.ValidationError):
        return told(reply)
    found = message(reply)
    return "yes" if found.get("reasoning_content") or found.get("reasoning") else "the answer, but no thought"


@probe("a schema that no answer can obey is refused")
def _impossible(peer: Peer) -> str:
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}, "required": ["a"]}
    form = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": schema}}
    return is_refused(peer.chat(response_format=form))


@probe("a named tool is called, arguments by its schema")
def _tool(peer: Peer) -> str:
    choice = {"type": "function", "function": {"name": "get_weather"}}
    reply = peer.chat("What's the weather in Paris?", tools=[WEATHER], tool_choice=choice)
    calls = message(reply).get("tool_calls") or []
    return yes_if(bool(calls) and "city" in json.loads(calls[0]["function"]["arguments"]), reply)


@probe("`tool_choice` required calls where the model would not")
def _required(peer: Peer) -> str:
    reply = peer.chat("Hello!", tools=[WEATHER], tool_choice="required")
    return yes_if(bool(message(reply).get("tool_calls")), reply)


@probe("`logprobs` with `top_logprobs`")
def _logprobs(peer: Peer) -> str:
    reply = peer.chat(logprobs=True, top_logprobs=3)
    found = reply.json().get("choices", [{}])[0].get("logprobs") if reply.status_code == 200 else None
    return yes_if(bool(found and len(found["content"][0]["top_logprobs"]) == 3), reply)


@probe("`n` answers")
def _n(peer: Peer) -> str:
    reply = peer.chat(n=2, temperature=1)
    return yes_if(reply.status_code == 200 and len(reply.json()["choices"]) == 2, reply)


@probe("`stop` ends the answer, never the thought")
def _stop(peer: Peer) -> str:
    reply = peer.chat([picture("scene.png"), asked("How many circles are there?")], stop=["1"])
    found = message(reply)
    thought = str(found.get("reasoning_content") or found.get("reasoning") or "")
    return yes_if("1" in thought and "content" in found, reply)


@probe("the same `seed`, the same answer, beside others or alone")
def _seed(peer: Peer) -> str:
    first, second = (peer.chat("Tell me something.", temperature=1, seed=5) for _ in range(2))
    return yes_if(bool(message(first)) and message(first) == message(second), second)


@probe("`logit_bias` obeyed")
def _bias(peer: Peer) -> str:
    plain = peer.chat(logprobs=True, top_logprobs=1, reasoning_effort="none")
    word = "Hello" if "Hello" in str(message(plain).get("content")) else str(message(plain).get("content"))[:1]
    reply = peer.chat(logit_bias={str(token): -100 for token in range(1000)}, max_tokens=4)
    return yes_if(reply.status_code == 200 and word not in str(message(reply).get("content")), reply)


@probe("counts of cached prompt tokens in `usage`")
def _cached(peer: Peer) -> str:
    parts = [picture("scene.png"), asked("How many circles are there?")]
    peer.chat(parts)
    reply = peer.chat(parts)
    usage = reply.json().get("usage", {}) if reply.status_code == 200 else {}
    return yes_if(bool((usage.get("prompt_tokens_details") or {}).get("cached_tokens")), reply)


@probe("fields without effect are named to the caller")
def _ignored(peer: Peer) -> str:
    reply = peer.chat(no_such_field=1)
    return yes_if("no_such_field" in str(reply.headers) + reply.text, reply)


@probe("`/v1/responses`, going on by `previous_response_id`")
def _responses(peer: Peer) -> str:
    body = {"model": peer.model, "input": "Hello!", "max_output_tokens": 60}
    first = peer.post("/v1/responses", body)
    if first.status_code != 200:
        return told(first)
    second = peer.post("/v1/responses", {**body, "input": "Thanks.", "previous_response_id": first.json()["id"]})
    grown = second.status_code == 200 and (
        second.json()["usage"]["input_tokens"] > first.json()["usage"]["input_tokens"]
    )
    return yes_if(grown, second)


@probe("Anthropic's `/v1/messages` and its counting")
def _anthropic(peer: Peer) -> str:
    body = {"model": peer.model, "max_tokens": 60, "messages": [{"role": "user", "content": "Hello!"}]}
    reply = peer.post("/v1/messages", body)
    count = peer.post("/v1/messages/count_tokens", body)
    return yes_if(reply.status_code == 200 and count.status_code == 200, reply if reply.is_error else count)


@probe("Ollama's `/api/chat` with a picture")
def _ollama(peer: Peer) -> str:
    image = sample("sign.png", "image/png").partition(",")[2]
    asking = {"role": "user", "content": "What is written here?", "images": [image]}
    reply = peer.post("/api/chat", {"model": peer.model, "messages": [asking], "stream": False})
    return yes_if(reply.status_code == 200 and "APPLE" in reply.text and "message" in reply.json(), reply)


@probe("a prompt longer than the context is refused, not cut")
def _too_long(peer: Peer) -> str:
    return is_refused(peer.chat("word " * 40_000, max_tokens=2))


@probe("a broken picture is refused in one line")
def _broken(peer: Peer) -> str:
    whole = sample("scene.png", "image/png")
    part = {"type": "image_url", "image_url": {"url": whole[: len(whole) // 2 // 4 * 4]}}
    return is_refused(peer.chat([part, asked("What is this?")]))


@probe("an unknown model's name is a 404")
def _unknown(peer: Peer) -> str:
    reply = Peer(peer.address, "no-such-model").chat(max_tokens=2)
    return yes_if(reply.status_code == 404, reply)


@probe("a message without words is refused, or answered; no 5xx")
def _empty(peer: Peer) -> str:
    reply = peer.post("/v1/chat/completions", {"model": peer.model, "messages": [], "max_tokens": 2})
    return yes_if(reply.status_code < 500, reply)


@probe("a picture's address on this computer is not fetched by default (SSRF)")
def _inner(peer: Peer) -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(3)
        called: list[bool] = []
        waiting = threading.Thread(target=lambda: called.append(is_called(listener)))
        waiting.start()
        part = {"type": "image_url", "image_url": {"url": f"http://127.0.0.1:{listener.getsockname()[1]}/a.png"}}
        try:
            reply = peer.chat([part, asked("What is this?")], max_tokens=2)
        finally:
            waiting.join()
    return "no: it was fetched" if called == [True] else is_refused(reply)


def is_called(listener: socket.socket) -> bool:
    """Return whether somebody connects within the listener's time; what connects is shut out at once."""
    try:
        listener.accept()[0].close()
    except TimeoutError:
        return False
    return True


@probe("a file's path is not read by default")
def _path(peer: Peer) -> str:
    part = {"type": "image_url", "image_url": {"url": str(demo_folder() / "samples" / "sign.png")}}
    reply = peer.chat([part, asked("What is written here?")], max_tokens=60)
    return "no: it was read" if reply.status_code == 200 else is_refused(reply)


@probe("a foreign Host header is refused (DNS rebinding)")
def _host(peer: Peer) -> str:
    return is_refused(peer.get("/v1/models", Host="evil.example"))


@probe("a web page elsewhere cannot post (Origin, `text/plain`)")
def _origin(peer: Peer) -> str:
    body = json.dumps({"model": peer.model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2})
    headers = {"Origin": "http://evil.example", "Content-Type": "text/plain"}
    url = f"http://{peer.address}/v1/chat/completions"
    return is_refused(httpx.post(url, content=body, headers=headers, timeout=TIMEOUT_S))


@probe("`/metrics` for Prometheus, without a switch")
def _metrics(peer: Peer) -> str:
    reply = peer.get("/metrics")
    return yes_if(reply.status_code == 200 and "# TYPE" in reply.text, reply)


@probe("a page to talk on")
def _page(peer: Peer) -> str:
    reply = peer.get("/", Accept="text/html")
    return yes_if(reply.status_code == 200 and "<html" in reply.text.lower(), reply)


def try_all(peer: Peer) -> Iterator[tuple[str, str]]:
    """Try each probe; a server that fails or hangs says so in its cell."""
    for name, tried in PROBES.items():
        try:
            found = tried(peer)
        except (httpx.HTTPError, ValueError, KeyError, TypeError, IndexError) as error:
            found = f"{type(error).__name__}: {str(error)[:40]}"
        yield name, found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Try the same features on this server and on others.")
    add_peers(parser)
    given = parser.parse_args()
    columns: dict[str, dict[str, str]] = {}
    for name, model, starting in peers(given):
        with starting as (address, _):
            columns[name] = dict(try_all(Peer(address, model)))
    print("| | " + " | ".join(columns) + " |\n" + "|---" * (len(columns) + 1) + "|")
    for name in PROBES:
        print(f"| {name} | " + " | ".join(column[name] for column in columns.values()) + " |")


if __name__ == "__main__":
    main()
