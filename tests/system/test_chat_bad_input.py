"""Whatever is wrong, the user reads exactly one line on stderr, and the exit code says whose mistake it was."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.system.chat_here import run_chat_here
from tests.system.chat_process import environment, run_chat
from tests.system.folders import edit_config

FAILURE, USAGE = 1, 2


def check_one_line(arguments: list[str | Path], *, data: Path, code: int, message: str, stdin: str = "") -> None:
    done = run_chat_here(arguments, data=data, stdin=stdin)
    assert (done.code, done.out) == (code, ""), done.err
    assert done.err.count("\n") == 1, done.err
    assert done.err.startswith("edge.chat: ")
    assert message in done.err


def last_shard(folder: Path) -> Path:
    return sorted(folder.glob("*.safetensors"))[-1]


def remove_shard(folder: Path) -> None:
    last_shard(folder).unlink()


def cut_shard(folder: Path) -> None:
    path = last_shard(folder)
    path.write_bytes(path.read_bytes()[:-1000])


def change_shape(folder: Path) -> None:
    edit_config(folder, "text_config", "intermediate_size", value=32)


def other_model(folder: Path) -> None:
    edit_config(folder, "model_type", value="llama")


def unsupported_value(folder: Path) -> None:
    edit_config(folder, "text_config", "hidden_act", value="relu")


def own_code(folder: Path) -> None:
    edit_config(folder, "model_file", value="model.py")


def remote_code(folder: Path) -> None:
    edit_config(folder, "auto_map", value={"AutoModel": "modeling.Model"})


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def template_with(text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "chat_template.jinja").write_text(text)

    return write


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove_shard, "missing: model-00002-of-00002.safetensors"),
        (cut_shard, "model-00002-of-00002.safetensors"),
        (change_shape, "shape"),
        (other_model, "llama"),
        (unsupported_value, "hidden_act"),
        (own_code, "model_file"),
        (remote_code, "auto_map"),
        (no_config, "config.json"),
        (broken_config, "config.json"),
        (no_tokenizer, "tokenizer.json"),
        (template_with("{{ ''.__class__.__mro__[1].__subclasses__() }}"), "template"),
        (
            template_with("{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}"),
            "template",
        ),
        (template_with("{% if"), "template"),
        (template_with("{{ raise_exception('no thanks') }}"), "no thanks"),
    ],
)
def test_a_damaged_or_hostile_folder_is_one_line(
    own_folder: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(own_folder)
    check_one_line(["--model", own_folder, "Hi"], data=tmp_path, code=FAILURE, message=message)


def test_a_folder_without_its_vision_part_names_the_missing_tensors(own_folder: Path, tmp_path: Path) -> None:
    from safetensors.mlx import load_file, save_file

    for path in own_folder.glob("*.safetensors"):
        save_file({name: array for name, array in load_file(path).items() if "visual" not in name}, path)
    index = own_folder / "model.safetensors.index.json"
    raw = json.loads(index.read_text())
    raw["weight_map"] = {name: shard for name, shard in raw["weight_map"].items() if "visual" not in name}
    index.write_text(json.dumps(raw))
    check_one_line(["--model", own_folder, "Hi"], data=tmp_path, code=FAILURE, message="vision part is missing")


def png_claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims a size and whose data is nearly nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "data",
    [b"", b"not a picture", png_claiming(60000, 60000), png_claiming(0, 5), png_claiming(40, 40)],
    ids=["empty", "text", "bomb", "zero-size", "cut"],
)
def test_a_bad_picture_is_one_line_that_names_it(tiny_folder: Path, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(data)
    check_one_line(["--model", tiny_folder, "--image", path, "What?"], data=tmp_path, code=FAILURE, message="bad.png")


def test_a_missing_picture_is_one_line_that_names_it(tiny_folder: Path, tmp_path: Path) -> None:
    check_one_line(
        ["--model", tiny_folder, "--image", "gone.png", "What?"], data=tmp_path, code=FAILURE, message="gone.png"
    )


def test_an_animation_as_a_picture_points_to_video(tiny_folder: Path, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (32, 48), (40 * i, 0, 0)) for i in range(4)]
    path = tmp_path / "film.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=500)
    check_one_line(["--model", tiny_folder, "--image", path, "What?"], data=tmp_path, code=FAILURE, message="video")


def test_a_video_of_one_frame_points_to_image(tiny_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "still.gif"
    Image.new("RGB", (32, 48)).save(path)
    check_one_line(["--model", tiny_folder, "--video", path, "What?"], data=tmp_path, code=FAILURE, message="image")


def test_a_prompt_longer_than_the_context_says_both_numbers(own_folder: Path, tmp_path: Path) -> None:
    edit_config(own_folder, "text_config", "max_position_embeddings", value=64)
    check_one_line(["--model", own_folder, "x" * 500], data=tmp_path, code=FAILURE, message="the context holds 64")


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        ([""], "", "empty"),
        ([], "", "empty"),
        ([], " \n", "empty"),
        (["--max-tokens", "0", "Hi"], "", "--max-tokens"),
        (["--temperature", "-1", "Hi"], "", "--temperature"),
        (["--top-p", "1.5", "Hi"], "", "--top-p"),
        (["--max-tokens", "5", "--thinking-budget", "5", "Hi"], "", "--think"),
        (["--stop", "", "Hi"], "", "--stop"),
        (["--min-pixels", "-5", "Hi"], "", "--min-pixels"),
        (["--min-pixels", "500", "--max-pixels", "100", "Hi"], "", "--min-pixels"),
        (["--fps", "0", "Hi"], "", "--fps"),
        (["--nonsense"], "", "--nonsense"),
        (["What", "is", "this?"], "", 'in quotes: "What is this?"'),
        (["--context", "0", "Hi"], "", "--context"),
        (["--session", "a/b", "Hi"], "", "cannot name a talk"),
        (["--continue", "Hi"], "", "no saved talk"),
    ],
)
def test_wrong_usage_exits_with_2_before_anything_is_loaded(
    tiny_folder: Path, tmp_path: Path, arguments: list[str | Path], stdin: str, message: str
) -> None:
    check_one_line(["--model", tiny_folder, *arguments], data=tmp_path, code=USAGE, message=message, stdin=stdin)


@pytest.mark.parametrize("model", ["nowhere", "./nowhere", "org/never-downloaded"])
def test_a_model_that_is_not_there_is_one_line(tmp_path: Path, model: str) -> None:
    done = run_chat(["--model", model, "Hi"], data=tmp_path)  # a process: the hub's library reads HF_HUB_OFFLINE once
    assert (done.code, done.out, done.err.count("\n")) == (FAILURE, "", 1)
    assert done.err.startswith("edge.chat: ")
    assert model in done.err


def test_a_name_that_is_not_utf8_works_as_a_picture_and_in_a_message(tiny_folder: Path, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    Image.new("RGB", (48, 32)).save(tmp_path / "a.png")
    os.rename(tmp_path / "a.png", path)
    arguments: list[str | Path] = ["--model", tiny_folder, "--temperature", "0", "--max-tokens", "4", "--stats"]
    done = run_chat([*arguments, "--image", os.fsdecode(path), "What?"], data=tmp_path)
    assert done.code == 0
    assert "48x32" in done.err
    os.unlink(path)
    check_one_line(
        ["--model", tiny_folder, "--image", os.fsdecode(path), "What?"],
        data=tmp_path,
        code=FAILURE,
        message="not found",
    )


@pytest.mark.parametrize(
    "name", ["~nobody-of-this-name/a.png", "x" * 300 + ".png", "http://example.org/a.png", "a\nb.png"]
)
def test_names_that_lead_nowhere_are_one_line(tiny_folder: Path, tmp_path: Path, name: str) -> None:
    check_one_line(["--model", tiny_folder, "--image", name, "What?"], data=tmp_path, code=FAILURE, message="")


def test_a_pipe_that_holds_a_picture_names_the_option(tiny_folder: Path, picture: Path, tmp_path: Path) -> None:
    done = run_chat(["--model", tiny_folder, "Hi"], data=tmp_path, stdin=picture)
    assert (done.code, done.out) == (USAGE, "")
    assert "--image -" in done.err


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_closed_stream_is_no_traceback(tiny_folder: Path, tmp_path: Path, closed: int) -> None:
    command = f"{sys.executable} -m edge.chat --model {tiny_folder} --temperature 0 --max-tokens 4 Hi {closed}>&-"
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=120, env=environment(tmp_path), check=False
    )
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1)
