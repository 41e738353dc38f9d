from __future__ import annotations

from collections.abc import Sequence

import pytest

from edge.events import ReasoningEvent, TextEvent
from edge.generate.answer import AnswerReader, ThinkingBudget

END, OTHER_END = 300, 301
CLOSING = tuple(b"\n</think>\n\n")


class OneBytePerToken:
    def token_bytes(self, token_id: int) -> bytes:
        return bytes([token_id]) if token_id < 256 else b"<|special|>"

    def is_special(self, token_id: int) -> bool:
        return token_id >= 256


def reader(*, thinking: bool = False, stops: Sequence[str] = ()) -> AnswerReader:
    return AnswerReader(OneBytePerToken(), starts_in_reasoning=thinking, stops=stops, end_token_ids=(END, OTHER_END))


def read(answer: AnswerReader, token_ids: Sequence[int]) -> tuple[str, str]:
    events = [event for token_id in token_ids for event in answer.feed(token_id)] + answer.finish()
    text = "".join(event.text for event in events if isinstance(event, TextEvent))
    return "".join(event.text for event in events if isinstance(event, ReasoningEvent)), text


@pytest.mark.parametrize("end", [END, OTHER_END])
def test_every_end_token_ends_the_answer_and_has_no_text(end: int) -> None:
    answer = reader()
    assert read(answer, [*b"yes", end]) == ("", "yes")
    assert answer.is_stopped
    assert answer.stop is None


def test_a_stop_string_ends_the_answer() -> None:
    answer = reader(stops=["END"])
    assert read(answer, b"one END two") == ("", "one ")
    assert answer.is_stopped
    assert answer.stop == "END"


def test_a_stop_string_inside_the_thought_does_not_end_it() -> None:
    answer = reader(thinking=True, stops=["END"])
    assert read(answer, b"not END\n</think>\n\nbut END here") == ("not END", "but ")
    assert answer.stop == "END"


def test_an_answer_without_an_end_is_not_stopped() -> None:
    answer = reader(thinking=True)
    assert read(answer, b"going on") == ("going on", "")
    assert not answer.is_stopped


def test_reasoning_tokens_are_counted_up_to_the_closing_tag() -> None:
    answer = reader(thinking=True)
    read(answer, b"ab</think>yes")
    assert answer.reasoning_tokens == len("ab</think>")


def generated(answer: AnswerReader, budget: ThinkingBudget, wanted: bytes, *, count: int) -> bytes:
    """Take the forced token where there is one, otherwise the next wanted one."""
    rest, taken = list(wanted), []
    for _ in range(count):
        forced = budget.next_forced(answer)
        taken.append(rest.pop(0) if forced is None else forced)
        answer.feed(taken[-1])
    return bytes(taken)


def test_a_thought_over_its_budget_is_closed_and_an_answer_follows_peers_23_24() -> None:
    answer, budget = reader(thinking=True), ThinkingBudget(4, closing_token_ids=CLOSING)
    found = generated(answer, budget, b"abcd answer", count=4 + len(CLOSING) + 7)
    assert found == b"abcd\n</think>\n\n answer"
    assert not answer.is_reasoning


def test_a_thought_closed_by_the_model_is_left_alone_peers_23() -> None:
    answer, budget = reader(thinking=True), ThinkingBudget(12, closing_token_ids=CLOSING)
    wanted = b"ab</think>a long answer without any tag in it"
    assert generated(answer, budget, wanted, count=len(wanted)) == wanted


def test_a_tag_half_written_when_the_budget_ends_is_closed_once() -> None:
    answer, budget = reader(thinking=True), ThinkingBudget(6, closing_token_ids=CLOSING)
    found = generated(answer, budget, b"ab</thxyz", count=6 + len(CLOSING) + 3)
    assert found == b"ab</th\n</think>\n\nxyz"


def test_a_budget_of_zero_skips_the_thought() -> None:
    answer, budget = reader(thinking=True), ThinkingBudget(0, closing_token_ids=tuple(b"</think>\n\n"))
    assert generated(answer, budget, b"yes", count=13) == b"</think>\n\nyes"


def test_an_instruct_answer_has_no_thought_to_close() -> None:
    answer, budget = reader(thinking=False), ThinkingBudget(2, closing_token_ids=CLOSING)
    assert generated(answer, budget, b"an answer", count=9) == b"an answer"


def test_without_a_budget_nothing_is_forced() -> None:
    answer, budget = reader(thinking=True), ThinkingBudget(None, closing_token_ids=())
    assert generated(answer, budget, b"a long thought", count=14) == b"a long thought"
