"""Put the report into a candidate's model card, in place of an earlier one."""

from __future__ import annotations

from pathlib import Path

from convert.disk import write_text

CARD = "README.md"
GGUF_CARD = "{name}.md"  # the folder of a GGUF file is the user's, and so is what stands in it
_BEGIN, _END = "<!-- verify {name} -->", "<!-- end of verify {name} -->"


def write_section(path: Path, name: str, section: str) -> None:
    """Write or replace a candidate's section in its model card; the rest of the card stays as it is.

    Args:
        path: The card; it need not be there.
        name: The candidate.
        section: Markdown.

    Raises:
        OutputError: The disk is full or fails.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    begin, end = _BEGIN.format(name=name), _END.format(name=name)
    block = f"{begin}\n{section}\n{end}\n"
    start, stop = text.find(begin), text.find(end)
    if 0 <= start < stop:
        text = text[:start] + block + text[stop + len(end) :].removeprefix("\n")
    else:
        gap = "\n" if text and not text.endswith("\n\n") else ""
        text = f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{gap}{block}"
    write_text(path, text)
