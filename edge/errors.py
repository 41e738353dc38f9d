"""Name the failures that a user can cause.

Every failure a user can cause raises a subclass of EdgeError with one line: what was expected, what was found,
where, and what to do. Entry points print that line on stderr and exit with `exit_code`.
"""

from __future__ import annotations

from edge.units import one_line


class EdgeError(Exception):
    """A failure with a one-line message for the user; all others are kinds of it, so that this is the one to catch.

    What others wrote (file names, templates, keys of files) may stand in it: here, at one place, the message is made
    one printable line of at most 500 characters.

    Attributes:
        field: Name of the setting that is wrong, as Python callers write it; None where no single one is.
    """

    exit_code = 1

    def __init__(self, message: str = "", *, field: str | None = None) -> None:
        """Make an error of one line.

        Args:
            message: What was expected, what was found, where, and what to do; made fit to show.
            field: Name of the setting that is wrong.
        """
        super().__init__(one_line(str(message)))
        self.field = field


class ConfigError(EdgeError):
    """A config file is missing, broken, or asks for something this runtime does not do."""


class WeightError(EdgeError):
    """A weight file is missing, cut, of the wrong shape, or belongs to another model."""


class SpoiledError(WeightError):
    """The bytes of a weight file are not sound, or not those that were opened: what was made of them cannot be used."""


class MediaError(EdgeError):
    """A picture or video cannot be read, or lies outside the limits."""


class PromptError(EdgeError):
    """Messages, tools or template cannot be made into a prompt."""


class ContextLengthError(PromptError):
    """Prompt and answer are longer than the context: shorten the talk, or make its pictures smaller."""


class AnswerError(EdgeError):
    """An answer is not what its reader expects, such as JSON that was cut off."""


class MemoryPlanError(EdgeError):
    """The work does not fit into this machine's memory."""


class RequestError(EdgeError):
    """A request asks for an unknown option or a value out of range."""


class UsageError(EdgeError):
    """The command line of a program is wrong, or a short name stands for no ready model."""

    exit_code = 2
