"""Write the files beside the weights of a GGUF model: card, sums, and a Modelfile for Ollama.

In: the plan, the source's folder and identity. Out: files named for the text file, since its folder is the user's:
`X.gguf.md`, `X.gguf.Modelfile`, and lines in `SHA256SUMS`, where those about other files stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from convert.card import Card, make_card, make_sums
from convert.gguf.plan import Plan
from convert.source import SUMS_NAME, Identity
from edge.checkpoint.files.gguf import open_gguf
from edge.config import ModelConfig
from edge.settings import GenerationSettings

# Ollama's own default holds 4096 tokens, no more than one large picture.
_CONTEXT_TOKENS = 16384
_OPENING = "<|im_start|>"
_CLOSING = "<|im_end|>"


@dataclass(frozen=True, slots=True)
class Making:
    """What the card and the Modelfile tell: command line without paths, identity, configuration and sampling."""

    command: str
    identity: Identity
    config: ModelConfig
    generation: GenerationSettings


def companion_names(plan: Plan) -> list[str]:
    """Return the names that must be free; the sums are added to a file that may be there."""
    out = plan.wanted.out.name
    return [f"{out}.md", *([] if _is_split(plan) else [f"{out}.Modelfile"])]


def write_companions(folder: Path, *, plan: Plan, making: Making, hashes: Mapping[str, str]) -> list[str]:
    """Write everything but the weights; return the names.

    Args:
        folder: The unfinished output, with complete files.
        plan: What was made.
        making: What the files tell.
        hashes: sha256 of the source's weight files.
    """
    names = [file.path.name for file in plan.files]
    sums = plan.wanted.out.with_name(SUMS_NAME)
    former = sums.read_text(encoding="utf-8", errors="surrogateescape") if sums.is_file() else ""
    text = make_sums(folder, names, former=former)
    (folder / SUMS_NAME).write_text(text, encoding="utf-8", errors="surrogateescape")
    card = Card(
        library="gguf",
        kind="types chosen under a budget" if plan.wanted.types else plan.wanted.file_type.name,
        sentence=f"{' and '.join(f'`{name}`' for name in names)} for llama.cpp, LM Studio, Ollama and this runtime.",
        how="with an importance file" if plan.importance else "without an importance file",
        command=making.command,
        identity=making.identity,
        hashes=hashes,
        versions=f"qwen3vl-edge {version('qwen3vl-edge')}, libgguf {version('libgguf')}",
        run=_describe_runs(plan),
    )
    card_name, *modelfile = companion_names(plan)
    (folder / card_name).write_text(make_card(card, making.config, plan.stored()), encoding="utf-8")
    for name in modelfile:
        template = str(open_gguf(folder / names[0]).metadata["tokenizer.chat_template"])
        (folder / name).write_text(make_modelfile(plan, making, template=template), encoding="utf-8")
    return [card_name, *modelfile, SUMS_NAME]


def make_modelfile(plan: Plan, making: Making, *, template: str) -> str:
    """Write a Modelfile.

    Args:
        plan: What was made.
        making: The checkpoint's sampling.
        template: The checkpoint's chat template; it decides whether an answer begins with a thought.
    """
    opening = f"{_OPENING}assistant\n" + ("<think>\n" if begins_with_thought(template) else "")
    turn = "{{- range .Messages }}" + f"{_OPENING}{{{{ .Role }}}}\n{{{{ .Content }}}}{_CLOSING}\n" + "{{ end }}"
    settings = making.generation
    parameters = {
        "num_ctx": min(_CONTEXT_TOKENS, making.config.text.max_position_embeddings),
        "temperature": settings.temperature if settings.do_sample else 0,
        "top_p": settings.top_p,
        "top_k": settings.top_k,
        "repeat_penalty": settings.repetition_penalty,
        "stop": f'"{_CLOSING}"',
    }
    lines = [
        *(f"FROM ./{file.path.name}" for file in plan.files),
        f'TEMPLATE """{turn}{opening}"""',
        *(f"PARAMETER {name} {value}" for name, value in parameters.items()),
    ]
    return "\n".join(lines) + "\n"


def begins_with_thought(template: str) -> bool:
    """Tell whether a chat template opens a thought when it asks for an answer."""
    asking = template.rpartition("add_generation_prompt")[2]
    return "<think>" in asking and "</think>" not in asking


def _describe_runs(plan: Plan) -> list[str]:
    first, *rest = (file.path.name for file in plan.files)
    runs = [f"Run: `python -m edge.chat --model {first}`"]
    if plan.wanted.projector_type is not None:
        runs.append(f"llama.cpp: `llama-server --model {first} --mmproj {rest[-1]}`")
    if not _is_split(plan):
        runs.append(f"Ollama: `ollama create NAME -f {plan.wanted.out.name}.Modelfile`")
    return runs


def _is_split(plan: Plan) -> bool:
    num_projectors = plan.wanted.projector_type is not None
    return len(plan.files) > 1 + num_projectors
