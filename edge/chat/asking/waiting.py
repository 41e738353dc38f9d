"""What waits for the next question: pictures and videos, under the names the user gave them.

Everything is looked at when it is added, so that what cannot be read is said at once and spoils no question.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from edge.chat.asking.item import WaitingItem
from edge.chat.asking.looking import Kind, Source, as_source, look, name_of
from edge.errors import UsageError


class WaitingMedia:
    """The pictures and videos that go with the next question."""

    def __init__(self) -> None:
        self.items: list[WaitingItem] = []

    @property
    def names(self) -> list[str]:
        """What the user calls them."""
        return [item.name for item in self.items]

    def add(self, source: Source, *, kind: Kind | None = None, name: str | None = None) -> list[WaitingItem]:
        """Look at something and let it wait; all pages of a document are pictures.

        Raises:
            MediaError: It cannot be read; nothing is added.
        """
        name = name or name_of(source, otherwise=f"picture {len(self.items) + 1}")
        looked = look(source, name=name, wanted=kind)
        if looked.kind == "pdf":
            from edge.chat.asking.pdf import read_pages

            new = read_pages(source, name=name)
        else:
            new = [WaitingItem(looked.kind, name, source, looked.detail)]
        self.items += new
        return new

    def add_typed(self, text: str, *, kind: Kind | None = None) -> list[WaitingItem]:
        """Add what was typed as a file: a path, a file or data URL; for documents perhaps with pages.

        Raises:
            MediaError: As `add`.
        """
        if kind == "pdf":
            from edge.chat.asking.pdf import read_pages, split_pages

            path, pages = split_pages(text)
            source = as_source(path)
            look(source, name=name_of(source, otherwise="document"), wanted="pdf")
            new = read_pages(source, name=name_of(source, otherwise="document"), pages=pages)
            self.items += new
            return new
        return self.add(as_source(text), kind=kind)

    def add_unseen(self, source: Source, *, kind: Literal["image", "video"]) -> None:
        """Let something wait that is looked at when it is asked about."""
        self.items.append(WaitingItem(kind, name_of(source, otherwise=kind), source, ""))

    def drop(self, which: str) -> list[WaitingItem]:
        """Take away the last, the one with a name or number, or all.

        Raises:
            UsageError: There is no such one.
        """
        if not self.items:
            raise UsageError("Nothing waits for the next question.")
        word = which.strip()
        if word.lower() == "all":
            gone, self.items = self.items, []
            return gone
        if not word:
            return [self.items.pop()]
        if word.isdecimal() and 1 <= int(word) <= len(self.items):
            return [self.items.pop(int(word) - 1)]
        for index, item in enumerate(self.items):
            if item.name == word:
                return [self.items.pop(index)]
        raise UsageError(f"{word}: nothing of that name waits. Waiting: {', '.join(self.names)}.")

    def take(self) -> list[WaitingItem]:
        """Give all of them away."""
        taken, self.items = self.items, []
        return taken

    def put_back(self, items: Sequence[WaitingItem]) -> None:
        """Let items wait again, before those that came since."""
        self.items = [*items, *self.items]
