"""A talk for the tests of the chat."""

from tests.unit.chat.parrot import talking

__all__ = ["talking"]
