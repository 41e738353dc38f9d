r"""See to it that an answer follows a thought: when it is closed, with which words, and what may not end it.

In: a request and the tokens it may generate. Out: a `Thought`, which a row asks after every token. A thought is closed
at its budget, in time for the tokens kept for the answer, when it runs in a circle, and when the model would end its
turn inside it. All four write the same: a bridging sentence as the model would write it, `</think>`, a blank line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge.request import Request
from edge.text.budget import ThinkingBudget, ThoughtProgress
from edge.text.thought import THINK_CLOSE

BRIDGE = "\n\nI have thought about this long enough. I will answer now from what I have worked out.\n"
GAP = "\n\n"
ROOM_TOKENS = 128
"""Where memory for more tokens runs out, a thought is closed while there is still room for this many."""


class Thought:
    """The thought before one answer.

    Attributes:
        keeps_answer: Whether an answer must follow.
        gap_token_ids: The blank line after `</think>`.
    """

    def __init__(
        self, budget: ThinkingBudget, *, is_early: bool, keeps_answer: bool, gap_token_ids: Sequence[int]
    ) -> None:
        """Take a planned thought; `plan_thought` is the way here.

        Args:
            budget: When it is closed, and with which tokens.
            is_early: Whether it is closed before the budget that was asked for, or without one being asked for.
            keeps_answer: Whether an answer must follow.
            gap_token_ids: The blank line after `</think>`.
        """
        self.keeps_answer = keeps_answer
        self.gap_token_ids = tuple(gap_token_ids)
        self._budget = budget
        self._is_early = is_early
        self._note: str | None = None
        self._has_begun = False

    @property
    def is_closing(self) -> bool:
        """Whether its end is being put in: some tokens of it have been, and some are left."""
        return self._budget.is_closing

    def close(self, note: str) -> bool:
        """Close it with the next token, and say why; False when that has begun before."""
        if not self._budget.close():
            return False
        self._note = note
        return True

    def next_forced(self, progress: ThoughtProgress) -> int | None:
        """Return the token that must come next, or None to let the model choose."""
        forced = self._budget.next_forced(progress)
        if forced is not None and not self._has_begun:
            self._has_begun = True
            if self._note is None and self._is_early:
                self._note = (
                    f"The thought was closed after {progress.reasoning_tokens} tokens, so that max_tokens or the "
                    "context leave room for an answer. Raise max_tokens for a longer thought."
                )
        return forced

    def take_note(self) -> str | None:
        """Return the line for the user about why it was closed, once."""
        note, self._note = self._note, None
        return note


def plan_thought(request: Request, *, max_tokens: int, encode: Callable[[str], Sequence[int]]) -> Thought:
    """Plan when a thought is closed.

    Args:
        request: Has the budget and the tokens kept for the answer.
        max_tokens: Tokens that may be generated, thought and answer together.
        encode: Turns text with `</think>` in it into tokens.
    """
    asked, kept = request.thinking_budget, request.kept_tokens(max_tokens)
    # The bridging sentence may not be longer than what is thought before it.
    closings = [tuple(encode(f"{bridge}{THINK_CLOSE}{GAP}")) for bridge in (BRIDGE, "\n")]
    rooms = [max_tokens - kept - len(closing) for closing in closings]
    closing, room = next(
        ((closing, room) for closing, room in zip(closings, rooms, strict=True) if room >= len(closing)),
        (closings[-1], max(0, rooms[-1])),
    )
    keeps_answer = request.answer_tokens != 0
    is_early = keeps_answer and (asked is None or room < asked)
    return Thought(
        ThinkingBudget(room if is_early else asked, closing_token_ids=closing),
        is_early=is_early,
        keeps_answer=keeps_answer,
        gap_token_ids=encode(GAP),
    )
