"""`convert verify` as typed: report, card, exit code, wrong pairs in one line, and a killed process that goes on.

What needs no process of its own runs in this one: importing torch and transformers takes seconds.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from convert.__main__ import main
from tests.parity.verify_folders import other_tokenizer, parameters, write_candidate, write_prompts, write_source

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parents[2]
FOUR_BITS = {"group_size": 32, "bits": 4, "mode": "affine"}
CARD = "---\nlicense: apache-2.0\n---\n\n# Small\n"


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    write_prompts(tmp_path)
    write_source(tmp_path / "source", "moe")
    write_candidate(tmp_path / "small", "moe", parameters("moe"), quantization=FOUR_BITS)
    (tmp_path / "small" / "README.md").write_text(CARD)
    return tmp_path


def command(*words: str, candidates: Sequence[str] = ("small",), work: str = "work") -> list[str]:
    return [
        *("verify", "--reference", "source", "--candidate", *candidates),
        *("--prompts", "prompts.jsonl", "--work", work, "--report", f"{work}-report", *words),
    ]


def run(folder: Path, *words: str, candidates: Sequence[str] = ("small",), work: str = "work") -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    with chdir(folder), redirect_stdout(out), redirect_stderr(err):
        code = main(command(*words, candidates=candidates, work=work))
    return code, out.getvalue(), err.getvalue()


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def test_the_report_is_printed_and_lands_in_the_card(folders: Path) -> None:
    code, out, err = run(folders, "--max-kl", "10", "--min-top1", "0")
    assert code == 0, err
    assert "GB of memory" in err.splitlines()[0]  # stated before it starts
    assert "| layer 3 " in out
    card = (folders / "small" / "README.md").read_text()
    assert card.startswith(CARD)
    assert "## Compared with the original" in card
    assert (folders / "small" / "small-verify.png").exists()
    kept = json.loads((folders / "small" / "small-verify.json").read_text())
    assert kept["candidates"][0]["kinds"][0]["num_prompts"] == 5
    assert [item["kind"] for item in kept["candidates"][0]["kinds"]] == ["all", "text", "image", "images", "video"]


def test_limits_gate_and_several_candidates_share_a_table(folders: Path) -> None:
    code, out, err = run(folders, "--max-kl", "1e-6", "--no-card", candidates=("small", "source"))
    assert code == 1
    assert err.splitlines()[-1].startswith("small: Mean KLD")
    assert "above --max-kl 1e-06" in err
    assert "| the original" in out
    assert (folders / "work-report" / "front.png").exists()
    assert (folders / "small" / "README.md").read_text() == CARD
    assert not list((folders / "source").glob("*verify*"))


def test_killed_and_started_again_it_reports_the_same(folders: Path) -> None:
    run(folders, "--no-card", work="whole")
    for stop_at in ("reference: layer 2", "small: layer 1"):
        with subprocess.Popen(
            [sys.executable, "-m", "convert", *command("--no-card")],
            cwd=folders,
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            assert any(line.startswith(stop_at) for line in process.stderr)
            process.send_signal(signal.SIGKILL)
    code, _, err = run(folders, "--no-card")
    assert code == 0, err
    assert "reference: " not in err
    assert "small: layer 0 " not in err
    reports = [(folders / f"{work}-report" / "report.json").read_bytes() for work in ("whole", "work")]
    assert reports[0] == reports[1]


def test_a_wrong_pair_is_refused_in_one_line(folders: Path) -> None:
    other_tokenizer(write_candidate(folders / "letters", "moe", parameters("moe")))
    code, out, err = run(folders, candidates=("letters",))
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert "letters has another tokenizer" in err


def test_without_torch_the_extra_is_named(folders: Path) -> None:
    program = "import sys; sys.modules['torch'] = None; from convert.__main__ import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, *command()],
        cwd=folders,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "pip install 'qwen3vl-edge[reference]'" in done.stderr


def test_no_path_of_this_machine_stands_in_what_is_published(folders: Path) -> None:
    source, prompts = str(folders / "source"), str(folders / "prompts.jsonl")
    code, _, err = run(folders, "--reference", source, "--prompts", prompts, "--max-kl", "10")
    assert code == 0, err
    for name in ("README.md", "small-verify.json"):
        text = (folders / "small" / name).read_text()
        assert str(folders) not in text
        assert "prompts.jsonl" in text


def test_what_cannot_be_reported_is_told_before_the_work(folders: Path) -> None:
    (folders / "work-report").write_text("mine")
    code, out, err = run(folders)
    assert (code, out) == (1, "")
    assert "work-report: cannot be written" in err
    assert not (folders / "work").exists()
