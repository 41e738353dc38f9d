from __future__ import annotations

from edge.server.conversation import join_leading

USER = {"role": "user", "content": "Hi"}


def test_system_messages_at_the_start_become_one() -> None:
    messages = [{"role": "system", "content": "A"}, {"role": "developer", "content": "B"}, USER]
    assert join_leading(messages) == [{"role": "system", "content": "A\n\nB"}, USER]


def test_parts_are_joined_too() -> None:
    part = {"type": "text", "text": "B"}
    messages = [{"role": "system", "content": "A"}, {"role": "system", "content": [part]}]
    gap = {"type": "text", "text": "\n\n"}
    assert join_leading(messages)[0]["content"] == [{"type": "text", "text": "A"}, gap, part]


def test_later_ones_and_single_ones_stay() -> None:
    messages = [{"role": "developer", "content": "A"}, USER, {"role": "system", "content": "B"}, USER]
    assert join_leading(messages) == messages
    assert join_leading([]) == []


def test_what_is_no_message_stays_for_the_prompts_own_check() -> None:
    messages = [{"role": "system", "content": 3}, {"role": "system"}, None, USER]
    assert join_leading(messages) == messages
