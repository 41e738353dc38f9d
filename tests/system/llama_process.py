"""Run requests in a real llama.cpp (the package xllamacpp), in a process of its own.

`python -m tests.system.llama_process MODEL MMPROJ REQUESTS.json`: prints a JSON list with one answer text per request.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Json = dict[str, Any]  # Any: JSON
MARK = "answers: "
ROOT = Path(__file__).resolve().parents[2]

has_llama_cpp = find_spec("xllamacpp") is not None


def ask_llama_cpp(
    model: Path, projector: Path, requests: Sequence[Json], *, folder: Path, timeout_s: float = 300
) -> list[str]:
    """Answer chat requests (OpenAI form) greedily; returns the texts."""
    path = folder / "requests.json"
    path.write_text(json.dumps(list(requests)))
    command = [sys.executable, "-m", "tests.system.llama_process", str(model), str(projector), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, cwd=ROOT, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    assert lines, f"llama.cpp gave no answers ({done.returncode}): {done.stderr[-2000:]}"
    return [str(text) for text in json.loads(lines[-1].removeprefix(MARK))]


def _main(model: str, projector: str, requests: str) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.mmproj.path = projector
    params.n_ctx = 2048
    params.n_parallel = 1
    params.warmup = False
    params.cpuparams.n_threads = 1
    params.reasoning_format = xllamacpp.common_reasoning_format.COMMON_REASONING_FORMAT_NONE
    params.use_jinja = True
    # Kept keys and values are float16 by default, which decides near ties differently.
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.fit_params = False
    server = xllamacpp.Server(params)
    texts = []
    for request in json.loads(Path(requests).read_text()):
        settings = {"temperature": 0.0, "cache_prompt": False, "reasoning_format": "none", "logprobs": True}
        choice = server.handle_chat_completions(request | settings | {"top_logprobs": 1})["choices"][0]
        # Bytes, because the text leaves out a character that is not finished.
        tokens = choice["logprobs"]["content"]
        texts.append(b"".join(bytes(token["bytes"]) for token in tokens).decode(errors="replace"))
    print(MARK + json.dumps(texts), flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
