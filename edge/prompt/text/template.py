"""Turn normalised messages into the checkpoint's prompt text with its own chat template.

In: a template from a folder or GGUF metadata, messages and tools as plain JSON. Out: text with one placeholder per
picture or video. The template is data: `edge.prompt.text.rendering` bounds what it may do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import PromptError
from edge.precedence import PRECEDENCE, find_setting, say_overruled
from edge.units import one_line

if TYPE_CHECKING:
    from edge.prompt.text.sandbox import TemplateFailure

# Messages and tools are JSON; `edge.prompt.text.messages` checks them before they come here.
Json = Any
_MOST_OF_A_REASON = 300  # characters: a template may write what it likes into its errors


class ChatTemplate:
    """A compiled chat template; rendering is safe on any thread."""

    def __init__(self, source: str, *, where: str = "chat template") -> None:
        """Compile a template.

        Args:
            source: Jinja text.
            where: File it came from, for messages.

        Raises:
            PromptError: The template is not valid, or asks for something templates may not do.
        """
        # jinja2 takes 60 ms to import: not before a prompt is needed.
        from edge.prompt.text.rendering import open_renderer
        from edge.prompt.text.sandbox import TemplateFailure

        self.source = source
        self._where = where
        try:
            self._renderer = open_renderer(source)
        except TemplateFailure as failure:
            raise self._explain(failure) from None

    def render(
        self,
        messages: Sequence[Mapping[str, Json]],
        *,
        tools: Sequence[Mapping[str, Json]] | None = None,
        add_generation_prompt: bool = True,
        variables: Mapping[str, Json] | None = None,
    ) -> str:
        """Write the prompt text.

        Args:
            messages: Plain JSON messages.
            tools: JSON schemas of the tools, or None.
            add_generation_prompt: End with the opening of the assistant's turn.
            variables: Further template variables, such as `add_vision_id`.

        Raises:
            PromptError: The template raises, fails, or uses more time or memory than a template may.
        """
        from edge.prompt.text.sandbox import TemplateFailure

        values = {
            **(variables or {}),
            "messages": list(messages),
            "tools": list(tools) if tools else None,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
        }
        size = len(json.dumps([values["messages"], values["tools"]], ensure_ascii=False))
        try:
            text = self._renderer.render(values, input_characters=size)
            text.encode()
        except UnicodeEncodeError:
            raise PromptError(f"{self._where}: the chat template writes a lone surrogate. Use another one.") from None
        except TemplateFailure as failure:
            raise self._explain(failure) from None
        return text

    def _explain(self, failure: TemplateFailure) -> PromptError:
        reason = one_line(" ".join(failure.reason.split()), max_characters=_MOST_OF_A_REASON).rstrip(". ")
        reasons = {
            "invalid": f"not a valid chat template: {reason}. Download it again.",
            "fails": f"the chat template does not take these messages: {reason}. Check their roles and contents.",
        }
        refused = f"the chat template is refused: {reason}. Use another template."
        return PromptError(f"{self._where}: {reasons.get(failure.kind, refused)}")


def find_template(folder: Path) -> ChatTemplate:
    """Read a model folder's chat template, in transformers' order of files.

    Raises:
        PromptError: The folder has none, or it is not valid.
        ConfigError: A JSON file cannot be read.
    """
    found = find_setting(folder, "template")
    if found is None:
        raise PromptError(
            f"{folder}: expected a chat template in {', '.join(map(str, PRECEDENCE['template']))}, found none. "
            "Download the folder's processor files."
        )
    say_overruled(found)
    return ChatTemplate(found.value, where=found.where)
