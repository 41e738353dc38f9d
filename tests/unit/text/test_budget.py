from __future__ import annotations

from edge.text.answer import AnswerReader
from edge.text.budget import ThinkingBudget
from tests.unit.text.reading import BytesAsTokens

CLOSING = tuple(b"\n</think>\n\n")


def reader(*, thinking: bool) -> AnswerReader:
    return AnswerReader(BytesAsTokens(), starts_in_reasoning=thinking, stops=(), end_token_ids=(), has_tools=True)


def generated(answer: AnswerReader, budget: ThinkingBudget, wanted: bytes, *, count: int) -> bytes:
    """Take the forced token where there is one, otherwise the next wanted one."""
    rest, taken = list(wanted), []
    for _ in range(count):
        forced = budget.next_forced(answer)
        taken.append(rest.pop(0) if forced is None else forced)
        answer.feed(taken[-1])
    return bytes(taken)


def test_a_thought_over_its_budget_is_closed_and_an_answer_follows() -> None:
    answer, budget = reader(thinking=True), ThinkingBudget(4, closing_token_ids=CLOSING)
    found = generated(answer, budget, b"abcd answer", count=4 + len(CLOSING) + 7)
    assert found == b"abcd\n</think>\n\n answer"
    assert not answer.is_reasoning


def test_a_bridging_text_stands_at_the_end_of_the_thought() -> None:
    answer, budget = reader(thinking=True), ThinkingBudget(2, closing_token_ids=tuple(b" So:\n</think>\n\n"))
    assert generated(answer, budget, b"abyes", count=2 + 15 + 3) == b"ab So:\n</think>\n\nyes"
    assert answer.reasoning_tokens == 2 + len(" So:\n</think>")


def test_a_thought_closed_by_the_model_is_left_alone() -> None:
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


def test_closing_is_told_between_its_first_and_its_last_token() -> None:
    answer, budget = reader(thinking=True), ThinkingBudget(0, closing_token_ids=(1, 2))
    assert not budget.is_closing
    assert (budget.next_forced(answer), budget.is_closing) == (1, True)
    assert (budget.next_forced(answer), budget.is_closing) == (2, False)
