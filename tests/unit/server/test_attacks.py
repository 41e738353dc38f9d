"""What attackers send to a running server, kind by kind: each is refused, and the next request is answered."""

from __future__ import annotations

import base64
import io
import json
import logging
import select
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from edge.server.arguments import ServerLimits, ServerOptions
from edge.server.log import JsonLines
from edge.server.running import BackgroundServer
from tests.unit.server.conftest import Caller, Reply

Json = Any
LIMITS = replace(ServerLimits(), answer_tokens=6, head_s=0.5, connections=12, all_bodies_bytes=3 << 20)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    (folder / "root").mkdir()
    (folder / "secret.png").write_bytes(b"secret")
    (folder / "root" / "out.png").symlink_to(folder / "secret.png")
    return folder / "root"


@pytest.fixture(scope="module")
def attacked(root: Path) -> Iterator[Caller]:
    options = ServerOptions(port=0, models=("demo",), allows_remote_media=True, media_root=root, limits=LIMITS)
    with BackgroundServer(options) as running:
        yield Caller(running.url)


@pytest.fixture(autouse=True)
def unharmed(attacked: Caller) -> Iterator[None]:
    yield
    assert attacked.get("/health").json["status"] == "ok"


def ask_about(caller: Caller, url: str) -> Reply:
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "?"}]
    return caller.post("/v1/chat/completions", {"messages": [{"role": "user", "content": content}]})


def data_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def raw(caller: Caller, data: bytes) -> bytes:
    host, port = caller.address.split(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(data)
        try:
            while piece := connection.recv(65536):
                received += piece
        except ConnectionResetError:
            pass
    return received


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "0", "0.0.0.0"),
        *("[::1]", "[::ffff:127.0.0.1]", "[::]", "[64:ff9b::7f00:1]", "127.0.0.1.", "LOCALHOST"),
    ],
)
def test_no_spelling_of_this_computer_is_reached_by_a_pictures_address(attacked: Caller, host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        reply = ask_about(attacked, f"http://{host}:{listener.getsockname()[1]}/a.png")
        assert reply.status == 400
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize(
    "place",
    [
        *("../secret.png", "%2e%2e/secret.png", "..%2fsecret.png", "out.png", "a/../../secret.png", "/etc/passwd"),
        *("....//secret.png", "..%5csecret.png", "\u2025/secret.png", "out.png%00.png", "?../secret.png"),
    ],
)
def test_no_path_leads_out_of_the_media_root(attacked: Caller, root: Path, place: str) -> None:
    reply = ask_about(attacked, f"file://{root}/{place}")
    assert reply.status == 400
    assert b"secret" not in reply.body.replace(place.encode(), b"")


@pytest.mark.parametrize(
    "path",
    [
        *("/page/../routes.py", "/page/%2e%2e/routes.py", "/page//etc/passwd", "/page/..%2froutes.py"),
        *("/v1/models/..%2f..%2fetc%2fpasswd", "/v1/responses/..%2f..%2fetc", "//etc/passwd", "/page/app.js%00.py"),
    ],
)
def test_no_path_of_a_request_is_looked_up_on_disk(attacked: Caller, path: str) -> None:
    assert attacked.get(path).status == 404


@pytest.mark.parametrize("name", ["/etc", "../../etc", "demo/../../x", "\x00", "a" * 10_000])
def test_no_model_is_loaded_from_a_place_that_a_client_names(attacked: Caller, name: str) -> None:
    assert attacked.chat(model=name).status == 404


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    parts = [header, *chunks, (b"IDAT", zlib.compress(bytes(9))), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body


def gif(frames: int) -> bytes:
    file = io.BytesIO()
    pictures = [Image.new("P", (600, 600), number % 255) for number in range(frames)]
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:])
    return file.getvalue()


INFLATED = zlib.compress(bytes(80_000_000), 9)


@pytest.mark.parametrize(
    "data",
    [
        png(60_000, 60_000),
        png(4, 4, (b"zTXt", b"a\x00\x00" + INFLATED)),
        png(4, 4, (b"iCCP", b"a\x00\x00" + INFLATED)),
        png(2**31 - 1, 1),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
        b"<svg xmlns='x'><image href='file:///etc/passwd'/></svg>",
        b"MM\x00*\xff\xff\xff\xff",
        b"",
    ],
    ids=["wide", "text", "profile", "long", "postscript", "svg", "tiff", "empty"],
)
def test_pictures_that_explode_or_run_are_refused_and_take_no_memory(attacked: Caller, data: bytes) -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    assert ask_about(attacked, data_url(data)).status == 400
    assert process.memory_info().rss < before + 60_000_000


def test_a_long_animation_is_refused_or_bounded(attacked: Caller) -> None:
    started = time.monotonic()
    content = [{"type": "video", "video": data_url(gif(4), "image/gif")}, {"type": "text", "text": "?"}]
    reply = attacked.post("/v1/chat/completions", {"messages": [{"role": "user", "content": content}]})
    assert reply.status in (200, 400)
    assert time.monotonic() - started < 60


def test_bodies_under_way_have_a_bound_together(attacked: Caller) -> None:
    host, port = attacked.address.split(":")
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    held = []
    try:
        for _ in range(4):
            connection = socket.create_connection((host, int(port)), timeout=10)
            held.append(connection)
            connection.sendall(head + b"Content-Length: 2000000\r\n\r\n" + b" " * 1_000_000)
        answering, _, _ = select.select(held, [], [], 10)
        assert [connection.recv(12) for connection in answering] == [b"HTTP/1.1 503"]
    finally:
        for connection in held:
            connection.close()
    deadline = time.monotonic() + 10
    large = b" " * 2_500_000 + b'{"messages": [{"role": "user", "content": "Hi"}]}'
    while attacked.post("/v1/messages/count_tokens", large).status != 200:
        assert time.monotonic() < deadline, "the room was not given back"
        time.sleep(0.05)


def test_idle_connections_do_not_keep_others_out_for_long(attacked: Caller) -> None:
    host, port = attacked.address.split(":")
    idle = [socket.create_connection((host, int(port))) for _ in range(20)]
    deadline = time.monotonic() + 10
    try:
        while attacked.get("/health").status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        for connection in idle:
            connection.close()


def test_a_fields_name_cannot_write_a_header(attacked: Caller) -> None:
    names: dict[str, Json] = {"a\r\nSet-Cookie: b=c": 1, "\u2027": 1, " x ": 1, "": 1}
    reply = attacked.chat("Hi", **names)
    assert reply.status == 200
    assert "set-cookie" not in reply.headers
    assert reply.headers["x-ignored-fields"] == 'a??Set-Cookie: b=c, ?, x, ""'


def test_a_path_cannot_write_a_line_of_the_log(attacked: Caller, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="edge.server")
    attacked.get("/v1/%0A%7B%22event%22:%22forged%22%7D%1b[31m")
    lines: list[str] = []
    deadline = time.monotonic() + 20
    while not lines:  # a request's line is written behind its answer
        assert time.monotonic() < deadline
        records = [record for record in caplog.records if isinstance(record.args, dict) and "path" in record.args]
        lines = [JsonLines().format(record) for record in records]
    assert not any("\n" in line or "\x1b" in line for line in lines)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PUT", "PATCH", "BREW", "post"])
def test_other_methods_are_refused(attacked: Caller, method: str) -> None:
    data = f"{method} /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert raw(attacked, data.encode()).split(b" ")[1] in (b"400", b"405")


def test_another_hosts_address_in_the_request_line_is_not_gone_to(attacked: Caller) -> None:
    data = b"GET http://evil.example/v1/models HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert b" 403 " in raw(attacked, data).split(b"\r\n")[0]


def test_many_requests_in_one_piece_are_answered_in_order_or_ended(attacked: Caller) -> None:
    ask = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = b"GET /v1/none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    received = raw(attacked, ask * 200 + last)
    assert received.count(b"HTTP/1.1 200") == 200
    assert received.count(b"HTTP/1.1 404") == 1


def test_tens_of_thousands_of_headers_are_refused(attacked: Caller) -> None:
    lines = b"".join(b"X-%d: y\r\n" % number for number in range(20_000))
    received = raw(attacked, b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + lines + b"Connection: close\r\n\r\n")
    assert received == b"" or received.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))


@pytest.mark.parametrize("value", [1e308, -1e308, "1e400h", "9" * 400 + "s", 10**30, -1])
def test_a_strange_time_to_stay_is_refused_or_bounded(attacked: Caller, value: Json) -> None:
    body = {"prompt": "Hi", "options": {"num_predict": 1}, "keep_alive": value}
    assert attacked.post("/api/generate", body).status in (200, 400)
    assert attacked.get("/api/ps").status == 200


@pytest.mark.parametrize("where", ["http://127.0.0.1:{port}/s.json", "file:///etc/passwd", "//127.0.0.1:{port}/s"])
def test_a_schema_or_tool_that_refers_elsewhere_is_not_followed(attacked: Caller, where: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        schema = {"$ref": where.format(port=listener.getsockname()[1])}
        form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
        tool = {"type": "function", "function": {"name": "f", "parameters": schema, "strict": True}}
        assert attacked.chat(response_format=form).status == 400
        assert attacked.chat(tools=[tool], tool_choice="required").status in (200, 400)
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_web_page_can_neither_ask_nor_read(attacked: Caller) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}]}).encode()
    for headers in (
        {"Origin": "https://evil.example", "Content-Type": "application/json"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Sec-Fetch-Site": "cross-site", "Content-Type": "application/json"},
        {"Sec-Fetch-Site": "same-site", "Content-Type": "application/json"},
        {"Host": "evil.example", "Content-Type": "application/json"},
    ):
        reply = attacked.send("POST", "/v1/chat/completions", body, headers)
        assert reply.status in (403, 415), headers
        assert "access-control-allow-origin" not in reply.headers


def test_one_key_cannot_take_all_seats_by_many_threads(attacked: Caller) -> None:
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(attacked.chat().status)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 429, 503}


@pytest.mark.parametrize("source", ["data:image/png;base64,\ud800", "data:,\udfff", "\ud800", "file:///\ud800"])
def test_half_a_character_in_a_pictures_address_is_refused(attacked: Caller, source: str) -> None:
    assert ask_about(attacked, source).status == 400
