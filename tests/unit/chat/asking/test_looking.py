from __future__ import annotations

import base64
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from edge.chat.asking.looking import NotMediaError, as_source, is_media_name, look
from edge.errors import MediaError


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    Image.new("RGB", (48, 32)).save(path)
    return path


def animation(path: Path) -> Path:
    frames = [Image.new("RGB", (32, 48), (60 * i, 0, 0)) for i in range(4)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=500)
    return path


def test_a_picture_is_known_by_its_bytes_whatever_its_name(picture: Path) -> None:
    renamed = picture.rename(picture.with_name("a.mp4"))
    looked = look(renamed, name="a.mp4")
    assert (looked.kind, looked.detail) == ("image", "48x32")
    data = renamed.read_bytes()
    assert look(data, name="x").kind == "image"
    assert look("data:image/png;base64," + base64.b64encode(data).decode(), name="x").kind == "image"


def test_an_animation_is_a_video_with_its_length(tmp_path: Path) -> None:
    looked = look(animation(tmp_path / "a.gif"), name="a.gif")
    assert looked.kind == "video"
    assert looked.detail == "32x48, 2.0 s, 4 frames"


def test_a_document_is_a_document(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"%PDF-1.4 ...")
    assert look(tmp_path / "x", name="x").kind == "pdf"


def test_a_text_is_named_with_what_can_be_done(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    with pytest.raises(NotMediaError, match=r"notes.txt: no picture, video or PDF.*pipe it in"):
        look(path, name="notes.txt")


def test_an_archive_or_office_file_points_to_pdf(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.docx", "w") as archive:
        archive.writestr("word.xml", "x" * 100)
    with pytest.raises(NotMediaError, match="as PDF"):
        look(tmp_path / "a.docx", name="a.docx")


def test_a_broken_picture_is_told_in_the_decoder_s_words(picture: Path) -> None:
    picture.write_bytes(picture.read_bytes()[:60])
    with pytest.raises(MediaError, match=r"a\.png.*broken") as caught:
        look(picture, name="a.png")
    assert not isinstance(caught.value, NotMediaError)


def test_the_wrong_option_is_refused_with_the_right_one(picture: Path) -> None:
    with pytest.raises(MediaError, match="--image"):
        look(picture, name="a.png", wanted="pdf")


def test_sources_are_read_as_typed(tmp_path: Path) -> None:
    assert as_source("data:image/png;base64,AA") == "data:image/png;base64,AA"
    assert as_source("file:///a%20b.png") == Path("/a b.png")
    for bad in ("https://example.org/a.png", "~nobody-of-this-name/a.png"):
        with pytest.raises(MediaError):
            as_source(bad)


def test_names_of_media() -> None:
    assert is_media_name("A.JPG")
    assert is_media_name("b.pdf")
    assert not is_media_name("c.txt")
    assert not is_media_name("png")
