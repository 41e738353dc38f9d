"""Take a picture out of the clipboard, and put text into it, where the platform can."""

from __future__ import annotations

import base64
import io
import shutil
import subprocess

from edge.errors import MediaError, UsageError

COMMANDS = (("pbcopy",), ("wl-copy",), ("xclip", "-selection", "clipboard"), ("xsel", "-ib"))
TIMEOUT_S = 3.0
# Longer texts are cut off by terminals.
MAX_ESCAPE_BYTES = 74_000


def clipboard_pictures() -> list[bytes | str]:
    """Return the clipboard's picture as PNG bytes, or the paths of files that were copied.

    Raises:
        MediaError: There is none, or this platform gives none.
    """
    from PIL import Image, ImageGrab

    try:
        found = ImageGrab.grabclipboard()
    except (NotImplementedError, OSError, subprocess.SubprocessError) as error:
        reason = " ".join(str(error).split())[:120]
        raise MediaError(f"The clipboard cannot be read here ({reason}). Save the picture and give its path.") from None
    if isinstance(found, Image.Image):
        file = io.BytesIO()
        found.save(file, "PNG")
        return [file.getvalue()]
    if found:
        return [str(path) for path in found]
    raise MediaError("There is no picture in the clipboard. Copy one, or give a path.")


def copy_text(text: str, *, terminal_escape: bool) -> tuple[str, str]:
    """Put text into the clipboard.

    Args:
        text: The text.
        terminal_escape: Whether a terminal may be asked to do it, where no program can.

    Returns:
        How it was done, and an escape sequence to be written to the terminal; empty if a program did it.

    Raises:
        UsageError: Nothing here can.
    """
    for command in COMMANDS:
        if shutil.which(command[0]) is None:
            continue
        try:
            subprocess.run(command, input=text.encode(), timeout=TIMEOUT_S, check=True, capture_output=True)
            return f"copied with {command[0]}", ""
        except (OSError, subprocess.SubprocessError):
            continue
    encoded = base64.b64encode(text.encode()).decode()
    if not terminal_escape or len(encoded) > MAX_ESCAPE_BYTES:
        raise UsageError("Nothing here can copy. Install wl-copy or xclip, or select the text, or use /export FILE.")
    return "copied, if the terminal allows it", f"\x1b]52;c;{encoded}\a"
