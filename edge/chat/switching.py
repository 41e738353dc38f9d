"""Change what a talk stands on: another talk, a new one, another model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.chat.asking.message import text_of
from edge.chat.asking.request import opens_thought, thought_tokens
from edge.chat.keeping import TalkKeeper, with_settings
from edge.chat.sessions.session import SavedTalk, Session
from edge.chat.sessions.store import new_session
from edge.errors import UsageError

if TYPE_CHECKING:
    from edge.chat.talk import Talk

SHOWN_CHARACTERS = 300


def begin_anew(talk: Talk, name: str | None = None) -> None:
    """Begin a new talk; the old one stays on disk.

    Raises:
        UsageError: The name is taken or cannot be one.
    """
    session = new_session(name) if talk.keeper.session is not None else None
    _leave(talk, TalkKeeper(session, holds_pictures=True))


def go_on(talk: Talk, session: Session) -> None:
    """Go on with a saved talk.

    Raises:
        EdgeError: It cannot be read, or is open elsewhere; the present one goes on.
    """
    if talk.keeper.session is not None and talk.keeper.session.folder == session.folder:
        raise UsageError(f"{session.name}: this is the talk you are in.")
    saved = session.read()
    session.lock()
    keeper = TalkKeeper(session, holds_pictures=True)
    _leave(talk, keeper)
    take_over(talk, saved)


def take_over(talk: Talk, saved: SavedTalk) -> None:
    """Put a saved talk's messages and settings in place, and say where it stands."""
    restore(talk, saved)
    session = talk.keeper.session
    assert session is not None, "a saved talk has a session"
    questions = sum(message["role"] == "user" for message in saved.messages)
    talk.screen.note(f"going on with {session.name}: {questions} question{'s' if questions != 1 else ''} so far")
    if saved.num_lost:
        lines = "1 line" if saved.num_lost == 1 else f"{saved.num_lost} lines"
        talk.screen.note(f"{lines} of its talk.jsonl cannot be read; the talk goes on without")
    if saved.missing:
        talk.screen.note(f"no longer there: {', '.join(saved.missing)}")
    if saved.model not in (None, talk.engine.name):
        talk.screen.note(f"it was held with {saved.model}; now {talk.engine.name} answers")
    for message in saved.messages[-2:]:
        text = " ".join(text_of(message).split())
        short = text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."
        talk.screen.plain(f"{'> ' if message['role'] == 'user' else ''}{short}")


def restore(talk: Talk, saved: SavedTalk) -> None:
    """Put a saved talk's messages and settings in place."""
    talk.keeper.go_on(saved)
    talk.messages = saved.messages
    talk.options = with_settings(talk.options, saved.settings)


def change_model(talk: Talk, name: str) -> None:
    """Go on with another model; where it cannot be found or loaded, with the old one.

    Raises:
        EdgeError: It cannot be found or loaded, or the user does not want its download.
    """
    if talk.find is None:
        raise UsageError("The model cannot be changed here. Start again with --model.")
    old, load = talk.options.model, talk.find(name)
    talk.engine.close()  # first: there may be no room for two
    try:
        talk.engine = load()
        talk.change(model=name)
    except BaseException:
        talk.engine = talk.find(old)()
        raise
    finally:
        talk.thinks = opens_thought(talk.engine)
    talk.screen.note(f"{talk.engine.name} answers from now on. {describe_thinking(talk)}")


def describe_thinking(talk: Talk) -> str:
    """Say in one line how long a thought may be."""
    if not talk.thinks:
        return "This model answers without a thought."
    tokens = thought_tokens(talk.engine, talk.options, thinks=True)
    if tokens is None:
        return "Thoughts may take all tokens there are."
    if tokens == 0:
        return "Thoughts are switched off."
    return f"Thoughts take up to {tokens} tokens, then the answer comes."


def _leave(talk: Talk, keeper: TalkKeeper) -> None:
    talk.keeper.close()
    talk.keeper = keeper
    talk.messages = []
    talk.waiting.take()
    talk.last = None
    talk.edited = None
