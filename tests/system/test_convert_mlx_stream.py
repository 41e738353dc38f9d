"""`--stream`: a repository of a hub on this machine, shard by shard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from convert.final import partial_path
from convert.source import Identity
from tests.system.convert_process import run_convert, run_gguf, start_convert, wait_for_pieces
from tests.unit.checkpoint.adapters import pair_of, write_adapter
from tests.unit.checkpoint.checkpoints import tiny_config_json, write_fp8_folder, write_hub_folder
from tests.unit.checkpoint.fake_hub import COMMIT, REPOSITORY, FakeHub
from tests.unit.convert.calibration.calibrating import calibrated, opened
from tests.unit.convert.gguf.sources import source_json, source_parameters, write_companions
from tests.unit.convert.mlx.conversion import files_of, write_source

SHARDS = [f"model-{index}-of-00003.safetensors" for index in ("00001", "00002", "00003")]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_source(tmp_path_factory.mktemp("stream") / "source", num_shards=3)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "preprocessor_config.json").write_text("{}")
    (folder / "modeling.py").write_text("raise SystemExit")
    return folder


@pytest.fixture(scope="module")
def converted(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The sums of what the folder becomes without a stream; the card names where it came from."""
    out = tmp_path_factory.mktemp("local") / "out"
    assert run_convert(repository, out).returncode == 0
    return files_of(out, but=("README.md",))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def settings(hub: FakeHub, tmp_path: Path) -> dict[str, str]:
    return {
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": "",
        "HF_HUB_OFFLINE": "0",
    }


def downloads(hub: FakeHub) -> list[str]:
    """Return the shards that were fetched whole, in order."""
    return [path for path, wanted in hub.ranges if path in SHARDS and wanted is None]


def test_a_stream_gives_the_files_of_the_folder_and_leaves_no_shard(
    repository: Path, converted: dict[str, str], tmp_path: Path
) -> None:
    with FakeHub(contents(repository)).running() as hub:
        result = run_convert(REPOSITORY, tmp_path / "out", "--stream", environment=settings(hub, tmp_path))
    assert (result.returncode, result.stderr) == (0, "")
    card = ("README.md",)
    assert files_of(tmp_path / "out", but=card) == converted
    assert downloads(hub) == SHARDS
    assert f"Source: {REPOSITORY}, revision {COMMIT}." in (tmp_path / "out" / "README.md").read_text()
    assert not partial_path(tmp_path / "out").exists()
    assert not list((tmp_path / "home").rglob("*.safetensors"))


def test_a_calibration_of_the_same_commit_serves_a_stream(repository: Path, tmp_path: Path) -> None:
    source = opened(repository)
    named = replace(source, files=replace(source.files, identity=Identity(REPOSITORY, COMMIT, {})))
    words = ["--calibration", str(calibrated(named, tmp_path / "own.calib").path)]
    with FakeHub(contents(repository)).running() as hub:
        result = run_convert(REPOSITORY, tmp_path / "out", "--stream", *words, environment=settings(hub, tmp_path))
    assert (result.returncode, result.stderr) == (0, "")
    assert run_convert(repository, tmp_path / "local", *words).returncode == 0
    assert files_of(tmp_path / "out", but=("README.md",)) == files_of(tmp_path / "local", but=("README.md",))


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pair = pair_of("model.language_model.layers.0.self_attn.q_proj", outputs=128, inputs=64)
    return write_adapter(tmp_path_factory.mktemp("lora"), pair)


def test_an_adapter_is_merged_into_a_stream_as_into_the_folder(repository: Path, adapter: Path, tmp_path: Path) -> None:
    local = run_convert(repository, tmp_path / "local", "--adapter", adapter)
    assert (local.returncode, local.stderr) == (0, "")
    with FakeHub(contents(repository)).running() as hub:
        words = (REPOSITORY, tmp_path / "out", "--stream", "--adapter", adapter)
        given = run_convert(*words, environment=settings(hub, tmp_path))
    faults = {"adapter_model.safetensors": ["503", "reset"], "adapter_config.json": ["503"]}
    with FakeHub(contents(repository) | contents(adapter), faults=faults).running() as hub:
        inside = run_convert(REPOSITORY, tmp_path / "in", "--stream", environment=settings(hub, tmp_path / "b"))
    assert (given.returncode, given.stderr, inside.returncode, inside.stderr) == (0, "", 0, "")
    merged, *streamed = (files_of(tmp_path / name, but=("README.md",)) for name in ("local", "out", "in"))
    assert streamed == [merged, merged]
    cards = [(tmp_path / name / "README.md").read_text() for name in ("local", "out", "in")]
    assert all("| adapter_model.safetensors | " in card for card in cards)


def test_an_altered_adapter_of_a_repository_is_refused(repository: Path, adapter: Path, tmp_path: Path) -> None:
    name = "adapter_model.safetensors"
    with FakeHub(contents(repository) | contents(adapter), stated_hashes={name: "0" * 64}).running() as hub:
        result = run_convert(REPOSITORY, tmp_path / "out", "--stream", environment=settings(hub, tmp_path))
    assert result.returncode == 1
    assert f"{name}: damaged or altered" in result.stderr


def test_a_dry_run_of_a_hub_id_fetches_headers_only(repository: Path, tmp_path: Path) -> None:
    with FakeHub(contents(repository)).running() as hub:
        result = run_convert(REPOSITORY, "--dry-run", environment=settings(hub, tmp_path))
    assert result.returncode == 0, result.stderr
    assert "This machine (" in result.stdout
    assert downloads(hub) == []


def test_an_altered_shard_is_refused_by_name(repository: Path, tmp_path: Path) -> None:
    with FakeHub(contents(repository), stated_hashes={SHARDS[1]: "0" * 64}).running() as hub:
        result = run_convert(REPOSITORY, tmp_path / "out", "--stream", environment=settings(hub, tmp_path))
    assert result.returncode == 1
    assert f"{SHARDS[1]}: damaged or altered, expected sha256 0000000000000000..." in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_killed_stream_goes_on_without_the_shards_it_has_used(
    repository: Path, converted: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with FakeHub(contents(repository)).running() as hub:
        process = start_convert(REPOSITORY, out, "--stream", environment=settings(hub, tmp_path))
        wait_for_pieces(process, out, 45)  # of 95 in three shards
        process.kill()
        process.communicate()
        assert not out.exists()
        hub.ranges.clear()
        result = run_convert(REPOSITORY, out, "--stream", environment=settings(hub, tmp_path))
    assert result.returncode == 0, result.stderr
    assert SHARDS[0] not in downloads(hub)
    assert files_of(out, but=("README.md",)) == converted


def test_scales_in_another_shard_than_their_codes_are_waited_for(tmp_path: Path) -> None:
    raw = tiny_config_json()
    from edge.checkpoint.files.shards import SafetensorsFile
    from edge.config_json import model_config_from_dict
    from tests.unit.checkpoint.checkpoints import Parameters, random_parameters, write_index, write_safetensors

    source = write_fp8_folder(
        tmp_path / "fp8", raw, random_parameters(model_config_from_dict(raw)), block_shape=(16, 24)
    )
    file = SafetensorsFile(source / "model.safetensors")
    codes = {name: "F8_E4M3" for name, info in file.tensors.items() if info.dtype == "F8_E4M3"}
    parts: list[Parameters] = [{}, {}]
    for name in file.tensors:
        parts["_scale_inv" in name][name] = file.read(name)
    (source / "model.safetensors").unlink()
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for part, name in zip(parts, names, strict=True):
        write_safetensors(source / name, part, dtypes=codes)
    write_index(source, {tensor: name for part, name in zip(parts, names, strict=True) for tensor in part})
    assert run_convert(source, tmp_path / "local").returncode == 0
    with FakeHub(contents(source)).running() as hub:
        result = run_convert(REPOSITORY, tmp_path / "out", "--stream", environment=settings(hub, tmp_path))
    assert result.returncode == 0, result.stderr
    assert files_of(tmp_path / "out", but=("README.md",)) == files_of(tmp_path / "local", but=("README.md",))


def test_without_a_hub_it_is_one_line(tmp_path: Path) -> None:
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
    result = run_convert(REPOSITORY, tmp_path / "out", "--stream", environment=environment)
    assert result.returncode == 1
    assert result.stderr.startswith(f"convert: {REPOSITORY}: ")
    assert len(result.stderr.splitlines()) == 1


def test_a_stream_survives_a_busy_hub_and_broken_connections(
    repository: Path, converted: dict[str, str], tmp_path: Path
) -> None:
    faults = {SHARDS[0]: ["503"], SHARDS[1]: ["reset", "503"], SHARDS[2]: ["reset"], "config.json": ["503"]}
    with FakeHub(contents(repository), faults=faults, cut_once=SHARDS[2]).running() as hub:
        result = run_convert(REPOSITORY, tmp_path / "out", "--stream", environment=settings(hub, tmp_path))
    assert (result.returncode, result.stderr) == (0, "")
    assert not any(faults.values())
    card = ("README.md",)
    assert files_of(tmp_path / "out", but=card) == converted


@pytest.mark.parametrize("portal", [b"<html>Log in first</html>", b"[]", b'{"id": 7}', b"{}"])
def test_a_network_that_wants_a_login_is_one_line(repository: Path, tmp_path: Path, portal: bytes) -> None:
    with FakeHub(contents(repository), portal=portal).running() as hub:
        result = run_convert(REPOSITORY, tmp_path / "out", "--stream", environment=settings(hub, tmp_path))
    assert result.returncode == 1
    assert result.stderr.startswith(f"convert: {REPOSITORY}: ")
    assert len(result.stderr.splitlines()) == 1
    assert "internal error" not in result.stderr
    assert not partial_path(tmp_path / "out").exists()


def test_a_gguf_stream_gives_the_files_of_the_folder_and_leaves_no_shard(tmp_path: Path) -> None:
    raw = source_json(is_moe=False)
    folder = tmp_path / "tiny"  # as the repository is called
    write_hub_folder(folder, raw, source_parameters(raw), num_shards=3)
    write_companions(folder)
    options = ("--type", "Q8_0", "--processes", "2")
    assert run_gguf(folder, tmp_path / "local" / "t.gguf", *options).returncode == 0
    with FakeHub(contents(folder)).running() as hub:
        out = tmp_path / "out" / "t.gguf"
        result = run_gguf(REPOSITORY, out, *options, "--stream", environment=settings(hub, tmp_path))
    assert (result.returncode, result.stderr) == (0, "")
    card = ("t.gguf.md",)
    assert files_of(out.parent, but=card) == files_of(tmp_path / "local", but=card)
    assert downloads(hub) == SHARDS
    assert not partial_path(out).exists()
