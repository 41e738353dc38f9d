"""Models by name: local paths first, hub ids through huggingface-hub against a hub on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.checkpoint.files.hub import resolve_model
from edge.errors import ConfigError
from edge.short_names import spell_out
from tests.unit.checkpoint.fake_hub import GATED_REPOSITORY, REPOSITORY, FakeHub

DATA = {
    "config.json": b"{}",
    "tokenizer.json": b"{} ",
    "chat_template.jinja": b"x",
    "merges.txt": b"a b",
    "model-00001-of-00002.safetensors": bytes(range(256)) * 400,
    "model-00002-of-00002.safetensors": bytes(1000),
}
NOT_FETCHED = {
    "modeling.py": b"raise SystemExit",
    "pytorch_model.bin": b"\x80\x04.",
    "README.md": b"#",
    "original/consolidated.safetensors": b"1",
    "onnx/config.json": b"{}",
}

# A process of its own: huggingface-hub reads its settings when it is imported.
RESOLVE = """
import sys
from edge.errors import EdgeError
from edge.checkpoint.files.hub import resolve_model
try:
    print(resolve_model(sys.argv[1]))
except EdgeError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def resolve(name: str, cache: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    own = {"HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "", "HF_HUB_OFFLINE": "0"}
    environment = {**os.environ, **own, **settings}
    return subprocess.run(
        [sys.executable, "-c", RESOLVE, name], env=environment, capture_output=True, text=True, timeout=120
    )


def test_an_existing_path_is_taken_as_it_is(tmp_path: Path) -> None:
    assert resolve_model(tmp_path) == tmp_path
    assert resolve_model(str(tmp_path)) == tmp_path
    (tmp_path / "model.gguf").touch()
    assert resolve_model(tmp_path / "model.gguf") == tmp_path / "model.gguf"


def test_an_existing_folder_wins_over_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "maker" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert resolve_model("maker/tiny") == Path("maker/tiny")


@pytest.mark.parametrize("name", ["nothing", "./maker/tiny", "/gone/tiny", "a/b/c", "maker/", "../x", "a b/c", ""])
def test_what_is_neither_path_nor_hub_id_is_refused_without_a_download(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # importing it would raise
    with pytest.raises(ConfigError, match=r"no such folder\. Give a model folder, or a hub id"):
        resolve_model(name)


@pytest.mark.parametrize("name", ["maker/tiny.git", "maker/a..b", "maker/a--b"])
def test_a_name_the_hub_does_not_allow_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="neither a local folder nor a valid hub id"):
        resolve_model(name)


def test_a_path_object_is_never_a_hub_id(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        resolve_model(tmp_path / "maker")


def test_a_hub_id_is_downloaded_without_code_and_pickles_and_then_works_offline(tmp_path: Path) -> None:
    with FakeHub({**DATA, **NOT_FETCHED}).running() as hub:
        result = resolve(REPOSITORY, tmp_path, HF_ENDPOINT=hub.address)
        assert result.returncode == 0, result.stderr
        folder = Path(result.stdout.strip())
        found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert found == DATA
        assert "100%" in result.stderr  # progress is shown, on stderr
        num_requests = len(hub.ranges)
        again = resolve(REPOSITORY, tmp_path, HF_ENDPOINT=hub.address, HF_HUB_OFFLINE="1")
        assert (again.stdout, len(hub.ranges)) == (result.stdout, num_requests)


def test_a_cut_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    name = "model-00001-of-00002.safetensors"
    content = bytes(range(250)) * 100_000  # 25 MB: the client writes pieces of 10 MB
    with FakeHub({**DATA, name: content}, cut_once=name).running() as hub:
        result = resolve(REPOSITORY, tmp_path, HF_ENDPOINT=hub.address)
        if result.returncode:  # huggingface-hub may leave the retry to the user
            assert "download failed" in result.stderr
            result = resolve(REPOSITORY, tmp_path, HF_ENDPOINT=hub.address)
    assert (Path(result.stdout.strip()) / name).read_bytes() == content
    assert [wanted for path, wanted in hub.ranges if path == name] == [None, "bytes=10485760-"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("maker/unknown", "maker/unknown: neither a local folder nor a repository on the hub"),
        (GATED_REPOSITORY, "maker/gated: access is restricted. Accept its terms on the hub and log in"),
    ],
)
def test_a_refusal_of_the_hub_is_one_line(tmp_path: Path, name: str, message: str) -> None:
    with FakeHub(dict(DATA)).running() as hub:
        result = resolve(name, tmp_path, HF_ENDPOINT=hub.address)
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].startswith(f"WeightError: {message}")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE forbids it. Unset that"),
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "the hub cannot be reached. Go online once"),
    ],
)
def test_offline_without_a_download_is_one_line(tmp_path: Path, settings: dict[str, str], why: str) -> None:
    result = resolve(REPOSITORY, tmp_path, **settings)
    assert result.returncode == 1
    assert (
        result.stderr.strip()
        .splitlines()[-1]
        .endswith(f"WeightError: maker/tiny: not (completely) downloaded yet, and {why}, or give a local folder.")
    )
    assert "Traceback" not in result.stderr


def test_a_busy_hub_and_a_broken_connection_are_asked_again(tmp_path: Path) -> None:
    shard = "model-00001-of-00002.safetensors"
    with FakeHub(dict(DATA), faults={shard: ["503", "reset"], "config.json": ["reset"]}).running() as hub:
        done = resolve(REPOSITORY, tmp_path, HF_ENDPOINT=hub.address)
    assert done.returncode == 0, done.stderr
    assert (Path(done.stdout.strip()) / shard).read_bytes() == DATA[shard]


def test_a_page_that_is_not_the_hubs_is_one_line(tmp_path: Path) -> None:
    with FakeHub(dict(DATA), portal=b"<html>Log in</html>").running() as hub:
        done = resolve(REPOSITORY, tmp_path, HF_ENDPOINT=hub.address)
    assert done.returncode == 1
    assert "WeightError: maker/tiny: " in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["x" * 300, "/" + "x" * 300 + "/y.gguf", Path("x" * 300)])
def test_a_path_that_the_system_refuses_is_one_line(name: str | Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read \(File name too long\)"):
        resolve_model(spell_out(name))
