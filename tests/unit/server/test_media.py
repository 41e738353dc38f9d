from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.server.arguments import ServerLimits, ServerOptions
from edge.server.errors import ApiError
from edge.server.fetch import FetchLimits
from edge.server.media import MediaDoor

DATA = "data:image/png;base64,AAAA"


def opened(part: Any, **options: Any) -> Any:
    messages = [{"role": "user", "content": [part]}]
    return MediaDoor(ServerOptions(**options)).open_messages(messages)[0]["content"]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": DATA}},
        {"type": "image_url", "image_url": DATA},
        {"type": "input_image", "image_url": DATA, "detail": "high"},
        {"type": "image", "image": DATA, "cache_control": {"type": "ephemeral"}},
        {"image": DATA},
    ],
)
def test_pictures_of_all_spellings_become_one(part: Any) -> None:
    assert opened(part) == [{"type": "image", "image": DATA}]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "video_url", "video_url": {"url": DATA}},
        {"type": "input_video", "input_video": {"data": DATA}},
        {"type": "video", "video": DATA},
    ],
)
def test_videos_of_all_spellings_become_one(part: Any) -> None:
    assert opened(part) == [{"type": "video", "video": DATA}]


def test_the_rate_of_a_list_of_frames_is_the_rate_it_was_taken_at() -> None:
    part = {"type": "video", "video": [DATA, DATA], "fps": 2}
    assert opened(part) == [{"type": "video", "video": [DATA, DATA], "frame_rate": 2}]


def test_limits_beside_a_picture_are_kept() -> None:
    part = {"type": "image_url", "image_url": {"url": DATA, "max_pixels": 9}, "min_pixels": 4}
    assert opened(part) == [{"type": "image", "image": DATA, "min_pixels": 4, "max_pixels": 9}]


def test_low_detail_means_what_it_means_to_openai() -> None:
    part = {"type": "image_url", "image_url": {"url": DATA, "detail": "low"}}
    assert opened(part)[0]["max_pixels"] == 512 * 512


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "http://example.org/a.png"}},
        {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
        {"type": "image_url", "image_url": {"url": "/etc/passwd"}},
        {"type": "image_url", "image_url": {"url": "ftp://example.org/a.png"}},
        {"type": "image_url", "image_url": {"url": 3}},
        {"type": "image_url", "image_url": {}},
        {"type": "image_url"},
        {"type": "image_url", "image_url": DATA, "image": DATA},
        {"type": "video", "video": [DATA, "/etc/passwd"]},
        {"type": "video", "video": [DATA] * 3000},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"file_data": DATA}},
        {"type": ["image"]},
        {},
    ],
)
def test_what_may_not_be_opened_is_refused_with_its_place(part: Any) -> None:
    with pytest.raises(ApiError, match=r"messages\[0\].content\[0\]: ") as refused:
        opened(part)
    assert refused.value.status == 400


def test_files_are_opened_below_the_media_root_only(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "secret.png"
    root.mkdir()
    (root / "a b.png").write_bytes(b"inside")
    outside.write_bytes(b"secret")
    (root / "link.png").symlink_to(outside)
    (tmp_path / "root2").mkdir()
    (tmp_path / "root2" / "x.png").write_bytes(b"secret")
    door = MediaDoor(ServerOptions(media_root=root))
    assert door.open_source(f"file://{root}/a%20b.png", "here") == b"inside"
    for url in (
        f"file://{outside}",
        f"file://{root}/../secret.png",
        f"file://{root}/%2e%2e/secret.png",
        f"file://{root}/link.png",
        f"file://{root}2/x.png",
        f"file://{root}/none.png",
        f"file://{root}",
        f"file://elsewhere{root}/a%20b.png",
        f"file://{root}/a%00.png",
        "file:///dev/zero",
        "file://",
    ):
        with pytest.raises(ApiError, match="below the server's media root"):
            door.open_source(url, "here")


def test_addresses_are_fetched_when_the_server_was_told_to() -> None:
    asked: list[tuple[str, FetchLimits]] = []

    def fetch_url(url: str, limits: FetchLimits) -> bytes:
        asked.append((url, limits))
        return b"picture"

    door = MediaDoor(ServerOptions(allows_remote_media=True), fetch_url=fetch_url)
    assert door.open_source("https://example.org/a.png", "here") == b"picture"
    assert asked[0][0] == "https://example.org/a.png"


def test_inner_addresses_are_refused_even_then() -> None:
    with pytest.raises(ApiError, match="does not lead to a public address"):
        MediaDoor(ServerOptions(allows_remote_media=True)).open_source("http://2130706433:22/", "here")


def test_too_many_pictures_are_refused_before_any_is_opened() -> None:
    limits = replace(ServerLimits(), pictures=2)
    part = {"type": "image_url", "image_url": {"url": "file:///x"}}
    messages = [{"role": "user", "content": [part, part]}, {"role": "user", "content": [part]}]
    with pytest.raises(ApiError, match="at most 2 pictures and videos, found 3"):
        MediaDoor(ServerOptions(limits=limits)).open_messages(messages)


def test_a_pdf_becomes_one_picture_a_page(tmp_path: Path) -> None:
    from tests.unit.prompt.media.test_pdf import pdf_url

    parts = opened({"type": "file", "file": {"filename": "a.pdf", "file_data": pdf_url(pages=2)}})
    assert [part["type"] for part in parts] == ["image", "image"]
    assert parts[0]["image"].startswith(b"\x89PNG")


def test_text_parts_lose_what_the_prompt_does_not_know() -> None:
    assert opened({"type": "text", "text": "Hi", "cache_control": {}}) == [{"type": "text", "text": "Hi"}]
    assert opened({"type": "refusal", "refusal": "No"}) == [{"type": "text", "text": "No"}]


def test_all_addresses_of_a_request_have_a_bound_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.server.media.FETCHED_BYTES", 25)
    asked: list[int] = []

    def fetch_url(_url: str, limits: FetchLimits) -> bytes:
        asked.append(limits.max_bytes)
        return bytes(10)

    door = MediaDoor(ServerOptions(allows_remote_media=True), fetch_url=fetch_url)
    for _ in range(3):
        door.open_source("https://example.org/a.png", "here")
    assert asked == [25, 15, 5]
    with pytest.raises(ApiError, match="addresses of one request"):
        door.open_source("https://example.org/a.png", "here")
    assert len(asked) == 3


def test_a_file_of_text_is_its_text_under_its_name() -> None:
    encoded = base64.b64encode("\ufeffa café\n".encode()).decode()
    part = {
        "type": "input_file",
        "filename": "notes.md",
        "file_data": f"data:application/octet-stream;base64,{encoded}",
    }
    assert opened(part) == [{"type": "text", "text": "notes.md:\na café\n\n"}]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        *((content, "expected a PDF or text, found another kind") for content in (b"\xff\xfe\x00x", b"PK\x03\x04\xff")),
        (b"\x89PNG\r\n\x1a\n\0", "expected a PDF or text, found another kind of file. A picture goes into image_url"),
        (b"%PDF-1.7 broken", "the PDF cannot be read"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_its_kind(content: bytes, why: str) -> None:
    source = "data:text/plain;base64," + base64.b64encode(content).decode()
    with pytest.raises(ApiError, match=rf"^messages\[0\]\.content\[0\]: f\.txt: {why}.*[^.]\.$"):
        opened({"type": "file", "file": {"filename": "f.txt", "file_data": source}})
