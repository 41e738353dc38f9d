"""Commands for the tools that the model may call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.chat.asking.paths import is_file
from edge.chat.commands.command import Command
from edge.errors import UsageError

if TYPE_CHECKING:
    from edge.chat.talk import Talk

BUILTIN = "builtin"
SWITCH = {"on": True, "off": False}
ADVICE = "/tools builtin and /tools FILE.py add some; --mcp takes those of a server"


def _tools(talk: Talk, argument: str) -> None:
    """List the tools, add some, or switch one or all on or off."""
    if not argument:
        talk.screen.plain("\n".join(_listed(talk)))
        return
    if argument.lower() == BUILTIN or argument.endswith(".py") or is_file(argument):
        from edge.chat.calls.sources import open_tools
        from edge.chat.commands.media import files_of

        new = open_tools([argument.lower() if argument.lower() == BUILTIN else files_of(argument)[0]])
        talk.add_tools(new)
        talk.screen.note(f"the model may call from now on: {', '.join(tool.name for tool in new)}")
        return
    words = argument.split()
    state = SWITCH.get(words[-1].lower())
    if state is None or len(words) > 2:
        raise UsageError(f"/tools: expected [NAME] on, [NAME] off, builtin or FILE.py, found {argument!r}.")
    if talk.tools is None:
        raise UsageError(f"There are no tools yet: {ADVICE}.")
    name = words[0] if len(words) == 2 else None
    talk.tools.switch(name, is_on=state)
    talk.screen.note(f"{name or 'all tools'}: {words[-1].lower()} from the next question on")


def _listed(talk: Talk) -> list[str]:
    if talk.tools is None or not talk.tools.tools:
        return [f"no tools; {ADVICE}"]
    tools = talk.tools
    width = max(len(tool.name) for tool in tools.tools) + 2
    rows = []
    for tool in tools.tools:
        asks = tool.needs_consent and not talk.options.agrees and tool.name not in tools.always
        state = "off" if tool.name in tools.off else "asks first" if asks else "runs at once"
        first = tool.description.split("\n")[0]
        rows.append(f"{tool.name:<{width}}{state:<14}{first} ({tool.origin or 'given'})")
    return rows


COMMANDS = (
    Command("/tools", _tools, "[NAME] [on|off] | builtin | FILE.py", "list, switch or add tools", completes="path"),
)
