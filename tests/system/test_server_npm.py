"""The npm clients of OpenAI and Vercel against the running server, where a folder has them: long form only.

`npm install openai ai @ai-sdk/openai-compatible` in a folder of its own, then EDGE_NPM_FOLDER=that folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.system.server_process import ServerProcess

FOLDER = Path(os.environ.get("EDGE_NPM_FOLDER", "/nowhere"))
SCRIPT = Path(__file__).parent / "npm" / "clients.mjs"
PACKAGES = ("openai", "ai", "@ai-sdk/openai-compatible")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not here"),
    pytest.mark.skipif(
        not all((FOLDER / "node_modules" / name).is_dir() for name in PACKAGES),
        reason=f"EDGE_NPM_FOLDER names no folder with node_modules of {', '.join(PACKAGES)}",
    ),
]


@pytest.fixture(scope="module")
def results() -> Any:
    with ServerProcess() as server:
        done = subprocess.run(
            ["node", "--input-type=module", "-", server.url],
            input=SCRIPT.read_text(encoding="utf-8"),
            capture_output=True,
            text=True,
            cwd=FOLDER,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_stream_has_text_thought_end_and_counts(results: Any) -> None:
    seen = results["openaiStream"]
    assert seen["text"]
    assert seen["thought"]
    assert seen["finish"] == "stop"
    assert seen["usage"]["completion_tokens"] > 3


def test_tools_lead_to_the_final_answer(results: Any) -> None:
    for name in ("openaiTools", "aiTools"):
        assert results[name]["calls"] == [{"city": "Paris"}], name
        assert re.fullmatch(r"It is sunny in \w+, 21 degrees\.", results[name]["text"]), name


def test_the_vercel_client_sees_thought_call_and_result(results: Any) -> None:
    kinds = set(results["aiTools"]["kinds"])
    assert kinds >= {"reasoning-delta", "tool-input-delta", "tool-call", "tool-result", "text-delta", "finish"}
    assert results["aiTools"]["tokens"] > 5
    assert "aiTrouble" not in results


def test_a_response_streams_to_its_end(results: Any) -> None:
    assert results["openaiResponse"]["text"]
    assert {"response.created", "response.completed"} <= set(results["openaiResponse"]["kinds"])


def test_a_schema_holds_the_vercel_clients_object(results: Any) -> None:
    assert results["aiObject"]["color"] in ("red", "green", "blue")


def test_an_error_has_its_class_and_field(results: Any) -> None:
    assert results["openaiError"] == {"kind": "BadRequestError", "status": 400, "param": "temperature"}
