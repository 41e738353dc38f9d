"""What a command is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from edge.records import dataclass

if TYPE_CHECKING:
    from edge.chat.talk import Talk

Completes = Literal["path", "talk", "model", "setting", "command", "waiting"]


@dataclass(frozen=True, slots=True)
class Command:
    """A line that begins with a slash.

    Attributes:
        name: With the slash.
        run: Does it, with what stands behind the name.
        usage: Arguments, for the list.
        help: One line.
        aliases: Other names.
        completes: What may stand behind the name.
    """

    name: str
    run: Callable[[Talk, str], None]
    usage: str
    help: str
    aliases: tuple[str, ...] = ()
    completes: Completes | None = None
