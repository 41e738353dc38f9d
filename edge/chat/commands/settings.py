"""Commands that change how answers are made and shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge.chat.arguments import SAMPLING, read_schema, read_think
from edge.chat.commands.command import Command
from edge.chat.screen.describe import describe_usage
from edge.chat.switching import change_model, describe_thinking
from edge.errors import UsageError

if TYPE_CHECKING:
    from edge.chat.talk import Talk

SWITCH = {"on": True, "off": False, "true": True, "false": False, "yes": True, "no": False}
OTHERS: dict[str, Callable[[str], Any]] = {  # Any: the values differ in type
    "max_tokens": int,
    "min_pixels": int,
    "max_pixels": int,
    "fps": float,
    "stop": lambda text: (text,),
    "loop_guard": lambda text: SWITCH[text.lower()],
    "thoughts": str,
    "markdown": lambda text: SWITCH[text.lower()],
    "stats": lambda text: SWITCH[text.lower()],
    "previews": lambda text: SWITCH[text.lower()],
}
FIELDS = {
    "loop_guard": "guards_loops",
    "markdown": "renders_markdown",
    "stats": "shows_stats",
    "previews": "shows_previews",
}
DEFAULTS: dict[str, Any] = {  # Any: as above
    "stop": (),
    "guards_loops": True,
    "renders_markdown": True,
    "shows_stats": False,
    "shows_previews": True,
}


# What holds where nothing is set.
WITHOUT = {
    "max_tokens": "what the context holds",
    "min_pixels": "the checkpoint's",
    "max_pixels": "the checkpoint's",
    "fps": "the checkpoint's",
    "stop": "none",
    "thoughts": "fold",
}


def setting_names() -> list[str]:
    """Return the names that `/set` takes."""
    return [name.replace("_", "-") for name in (*SAMPLING, *OTHERS)]


def _set(talk: Talk, argument: str) -> None:
    name, _, value = argument.replace("=", " ", 1).partition(" ")
    name, value = name.lower().removeprefix("--").replace("-", "_"), value.strip()
    if not name:
        talk.screen.plain("\n".join(_listed(talk)))
        return
    if name not in SAMPLING and name not in OTHERS:
        raise UsageError(f"{name}: no such setting. There are: {', '.join(setting_names())}.")
    if not value:
        raise UsageError(f"/set {name.replace('_', '-')} needs a value, or: default")
    if name in SAMPLING:
        sampling = {key: old for key, old in talk.options.sampling.items() if key != name}
        if value != "default":
            sampling[name] = _read(name, value, int if name in ("top_k", "seed") else float)
        talk.change(sampling=sampling)
    else:
        field = FIELDS.get(name, name)
        new = DEFAULTS.get(field) if value == "default" else _read(name, value, OTHERS[name])
        if name == "thoughts" and new not in (None, "show", "fold", "hide"):
            raise UsageError(f"/set thoughts: expected show, fold or hide, found {value!r}.")
        talk.change(**{field: new})
    talk.screen.note(f"{name.replace('_', '-')} is {value} from now on")


def _read(name: str, value: str, convert: Callable[[str], Any]) -> Any:  # Any: as above
    try:
        return convert(value)
    except (ValueError, KeyError):
        expected = {int: "a whole number", float: "a number"}.get(convert, "on or off")  # type: ignore[call-overload]
        raise UsageError(f"/set {name.replace('_', '-')}: expected {expected}, found {value!r}.") from None


def _listed(talk: Talk) -> list[str]:
    lines = []
    for name in SAMPLING:
        default = getattr(talk.engine.default_sampling, name)
        given = talk.options.sampling.get(name)
        shown = f"{given}" if given is not None else f"{default if default is not None else 'new each time'} (default)"
        lines.append(f"{name.replace('_', '-'):<20}{shown}")
    for name in OTHERS:
        value = getattr(talk.options, FIELDS.get(name, name))
        if value in (None, ()):
            shown = f"{WITHOUT[name]} (default)"
        elif name == "stop":
            shown = ", ".join(value)
        else:
            shown = {True: "on", False: "off"}.get(value, value)
        lines.append(f"{name.replace('_', '-'):<20}{shown}")
    return lines


def _model(talk: Talk, argument: str) -> None:
    if not argument:
        talk.screen.plain(f"{talk.engine.name}\nchange it: /model NAME")
        return
    change_model(talk, argument)


def _system(talk: Talk, argument: str) -> None:
    if not argument:
        talk.screen.plain(talk.options.system or "no system message; set one: /system TEXT")
        return
    talk.change(system=None if argument.lower() == "off" else argument)
    talk.screen.note(
        "system message " + ("taken away" if argument.lower() == "off" else "set") + " from the next answer on"
    )


def _think(talk: Talk, argument: str) -> None:
    if argument:
        try:
            talk.change(think=read_think(argument))
        except ValueError:
            raise UsageError(f"/think: expected on, off, auto or a number of tokens, found {argument!r}.") from None
    talk.screen.note(describe_thinking(talk))


def _schema(talk: Talk, argument: str) -> None:
    if not argument:
        state = "answers obey a JSON Schema" if talk.options.schema else "no schema"
        talk.screen.plain(f"{state}; /schema FILE, /schema json or /schema off")
        return
    try:
        schema = None if argument.lower() == "off" else read_schema(argument)
    except ValueError as error:
        raise UsageError(str(error)) from None
    talk.change(schema=schema)
    talk.screen.note("answers are free" if schema is None else "answers obey the schema from now on")


def _stats(talk: Talk, argument: str) -> None:
    if argument:
        _set(talk, f"stats {argument}")
        return
    if talk.last is None:
        raise UsageError("Nothing was answered yet. /stats on shows the costs of every answer.")
    talk.screen.note(describe_usage(talk.last.usage))


COMMANDS = (
    Command("/model", _model, "[NAME]", "go on with another model", aliases=("/m",), completes="model"),
    Command("/system", _system, "[TEXT|off]", "set the system message"),
    Command("/think", _think, "[N|off|on|auto]", "most tokens of thought"),
    Command("/set", _set, "[NAME VALUE]", "list or change settings", completes="setting"),
    Command("/schema", _schema, "[FILE|json|off]", "hold answers to a JSON Schema", completes="path"),
    Command("/stats", _stats, "[on|off]", "costs of the last answer, or of every one"),
)
