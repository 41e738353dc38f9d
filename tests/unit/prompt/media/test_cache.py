from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from edge.errors import MediaError
from edge.prompt.media.cache import MediaCache
from edge.prompt.media.prepare import Media, prepare_media
from edge.prompt.types import MediaItem
from edge.settings import ImageSettings, VideoSettings
from tests.prompt_parts import encode, formula_image

PNG = encode(Image.fromarray(formula_image(64, 64, 1)), "PNG")


@pytest.fixture
def calls() -> list[MediaItem]:
    return []


@pytest.fixture
def prepare(calls: list[MediaItem]) -> Callable[[MediaItem], Media]:
    def counted(item: MediaItem) -> Media:
        calls.append(item)
        return prepare_media(item, images=ImageSettings(), videos=VideoSettings())

    return counted


def test_the_same_source_is_decoded_once(
    calls: list[MediaItem], prepare: Callable[[MediaItem], Media], tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    cache = MediaCache()
    for source in (PNG, path, str(path)):
        first, second = (cache.get(MediaItem("image", source, "image 1", {}), prepare) for _ in range(2))
        assert first is second
    assert len(calls) == 2  # bytes, and the file under both of its names


def test_a_changed_file_is_decoded_again(
    calls: list[MediaItem], prepare: Callable[[MediaItem], Media], tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    cache = MediaCache()
    before = cache.get(MediaItem("image", path, "image 1", {}), prepare)
    path.write_bytes(encode(Image.fromarray(formula_image(64, 64, 2)), "PNG"))
    os.utime(path, ns=(1, 1))
    after = cache.get(MediaItem("image", path, "image 1", {}), prepare)
    assert before.digest != after.digest


def test_other_options_are_decoded_anew(calls: list[MediaItem], prepare: Callable[[MediaItem], Media]) -> None:
    cache = MediaCache()
    for options in ({}, {"max_pixels": 32768}):
        cache.get(MediaItem("image", PNG, "image 1", options), prepare)
    assert len(calls) == 2


def test_pictures_in_memory_are_not_kept(calls: list[MediaItem], prepare: Callable[[MediaItem], Media]) -> None:
    cache = MediaCache()
    for _ in range(2):
        cache.get(MediaItem("image", formula_image(64, 64, 1), "image 1", {}), prepare)
    assert len(calls) == 2
    assert cache.num_bytes == 0


def test_the_bytes_are_bounded_and_the_oldest_goes_first(
    calls: list[MediaItem], prepare: Callable[[MediaItem], Media]
) -> None:
    size = 256 * 256 * 3
    cache = MediaCache(2 * size)
    sources = [encode(Image.fromarray(formula_image(256, 256, seed)), "PNG") for seed in range(3)]
    for index in (0, 1, 0, 2, 0, 1):
        cache.get(MediaItem("image", sources[index], "image 1", {}), prepare)
        assert cache.num_bytes <= 2 * size
    assert [sources.index(item.source) for item in calls] == [0, 1, 2, 1]  # type: ignore[arg-type]  # all are bytes


def test_errors_are_not_kept(prepare: Callable[[MediaItem], Media], tmp_path: Path) -> None:
    cache = MediaCache()
    item = MediaItem("image", tmp_path / "later.png", "image 1", {})
    with pytest.raises(MediaError, match="file not found"):
        cache.get(item, prepare)
    (tmp_path / "later.png").write_bytes(PNG)
    assert cache.get(item, prepare).num_tokens == 64


def test_file_objects_are_known_by_their_content(
    calls: list[MediaItem], prepare: Callable[[MediaItem], Media], tmp_path: Path
) -> None:
    cache = MediaCache()
    (tmp_path / "a.png").write_bytes(PNG)
    with (tmp_path / "a.png").open("rb") as file:
        for source in (file, file, io.BytesIO(PNG), PNG):
            cache.get(MediaItem("image", source, "image 1", {}), prepare)
    assert len(calls) == 1
    cache.get(MediaItem("image", file, "image 1", {}), prepare)  # closed since
    assert len(calls) == 1
