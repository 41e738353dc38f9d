"""Write a talk as Markdown, with its pictures in a folder beside it.

In: messages. Out: `FILE.md` and `FILE_files/`. Thoughts and tool results stand folded.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edge.errors import EdgeError, UsageError

Message = Mapping[str, Any]  # Any: JSON
TITLES = {"user": "You", "assistant": "Answer", "system": "System", "tool": "Tool"}


def export_talk(path: Path, messages: Sequence[Message], *, title: str, names: Mapping[str, str]) -> int:
    """Write a talk.

    Args:
        path: A new file; `.md` is added where it has no ending.
        messages: The talk.
        title: Its heading.
        names: What the user calls each picture's path.

    Returns:
        Pictures and videos written.

    Raises:
        UsageError: The file exists, or nothing was said.
        EdgeError: It cannot be written.
    """
    if not messages:
        raise UsageError("Nothing was said yet, so there is nothing to export.")
    path = path if path.suffix else path.with_suffix(".md")
    if path.exists():
        raise UsageError(f"{path} exists. Choose another name.")
    files = path.with_name(f"{path.stem}_files")
    pictures = _Pictures(files, names)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        blocks = [f"# {title}", *(_section(message, pictures) for message in messages)]
        path.write_text("\n\n".join(blocks) + "\n", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        with suppress(OSError):
            path.unlink(missing_ok=True)  # half a file would be in the way of the next try
        raise EdgeError(f"{path}: cannot be written ({error.strerror}). Choose another place.") from None
    return pictures.count


class _Pictures:
    """Copies pictures as they are met, each once."""

    def __init__(self, folder: Path, names: Mapping[str, str]) -> None:
        self._folder = folder
        self._names = names
        self._done: dict[str, str] = {}

    @property
    def count(self) -> int:
        return len(self._done)

    def link(self, kind: str, source: object) -> str:
        """Copy one and write the link to it."""
        key = str(source) if not isinstance(source, bytes) else f"bytes {hash(source)}"
        name = self._names.get(str(source), f"{kind} {self.count + 1}") if not isinstance(source, bytes) else kind
        if key not in self._done:
            self._folder.mkdir(exist_ok=True)
            suffix = Path(str(source)).suffix if not isinstance(source, bytes) else ".png"
            target = self._folder / f"{len(self._done) + 1}{suffix}"
            if isinstance(source, bytes):
                target.write_bytes(source)
            else:
                shutil.copyfile(str(source), target)
            self._done[key] = f"{quote(self._folder.name)}/{quote(target.name)}"
        shown = name.replace("[", "(").replace("]", ")")
        return f"{'!' if kind == 'image' else ''}[{shown}]({self._done[key]})"


def _section(message: Message, pictures: _Pictures) -> str:
    blocks = [f"## {TITLES.get(message['role'], message['role'])}"]
    if thought := message.get("reasoning_content"):
        blocks.append(f"<details><summary>Thought</summary>\n\n{thought}\n\n</details>")
    content = message.get("content")
    if isinstance(content, str):
        blocks.append(content)
    for part in content if isinstance(content, list) else ():
        kind = part.get("type")
        blocks.append(pictures.link(kind, part[kind]) if kind in ("image", "video") else str(part.get("text", "")))
    for call in message.get("tool_calls") or ():
        function = call.get("function", call)
        blocks.append(f"Call of `{function.get('name')}`:\n\n```json\n{function.get('arguments')}\n```")
    return "\n\n".join(block for block in blocks if block)
