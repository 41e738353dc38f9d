"""Tool loops: a call and its result, and two calls in a row, exactly as the chat template writes them.

In: `Use`s and a seeded `random.Random`. Out: `Step`s: what stands before the answer, and the answer.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from ..dialogue import TWO_CALLS, Tool, call_text, call_thought, next_call
from ..prompt_text import ASSISTANT
from ..tasks import Question
from .free_tools import FAMILIES, Use, again, name_of, random_use
from .results import random_result

THOUGHT = "I have the result."
NEXT = "One call is left. "
JOINED = {
    "weather": "What is the weather in {} and in {}?",
    "time": "What time is it in {} and in {}?",
    "price": "What do {} and {} cost?",
    "search": "Look up {} and {}.",
    "list": "Add {} and {} to the list.",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was made, with the thought before it and what came back."""

    use: Use
    thought: str
    result: str

    def text(self) -> str:
        """Write the call, its result and the start of the next turn."""
        call = call_text(self.use.name, self.use.arguments)
        said = f"{self.thought}\n</think>\n\n{call}<|im_end|>"
        return f"{said}\n<|im_start|>user\n<tool_response>\n{self.result}\n</tool_response>{ASSISTANT}"


@dataclass(frozen=True, slots=True)
class Step:
    """A point of a tool loop: the user's text, the calls so far, and what the model says next."""

    text: str
    calls: tuple[Call, ...]
    answer: Question

    def context(self) -> str:
        """Write all that stands before the answer."""
        return self.text + ASSISTANT + "".join(call.text() for call in self.calls)


def one_call(rng: random.Random, use: Use, tools: list[Tool]) -> list[Step]:
    """Return the steps of one call, `tools` being on offer: the call, and the answer to its result."""
    told, said = random_result(rng, use)
    first = use.question(tools)
    call = Call(use, first.thought or "", told)
    return [Step(use.text, (), first), Step(use.text, (call,), Question("free_result", "", THOUGHT, said))]


def two_calls(rng: random.Random, first: Use, second: Use, text: str, tools: list[Tool]) -> list[Step]:
    """Return the three steps of two calls in a row, `tools` being on offer."""
    (told_1, said_1), (told_2, said_2) = random_result(rng, first), random_result(rng, second)
    call_1 = Call(first, call_thought(map(name_of, tools), first.tool, calls=TWO_CALLS), told_1)
    call_2 = Call(second, NEXT + next_call(second.tool), told_2)
    says = said_1 if said_1 == said_2 == "Done." else f"{said_1} {said_2}"
    steps = (call_text(use.name, use.arguments) for use in (first, second))
    return [
        Step(text, (), Question("in_a_row", "", call_1.thought, next(steps))),
        Step(text, (call_1,), Question("in_a_row", "", call_2.thought, next(steps))),
        Step(text, (call_1, call_2), Question("in_a_row", "", THOUGHT, says)),
    ]


def two_uses(rng: random.Random, *, unseen: bool = False) -> tuple[Use, Use, str]:
    """Make two uses, of one tool or of two, and the text that asks for both."""
    if rng.random() < 0.5:
        family = rng.choice(list(JOINED))
        first = random_use(rng, family, unseen=unseen)
        second = again(rng, first, unseen=unseen)
        while second.values == first.values:
            second = again(rng, first, unseen=unseen)
        return first, second, JOINED[family].format(first.values[0], second.values[0])
    first, second = (random_use(rng, family, unseen=unseen) for family in rng.sample(list(FAMILIES), 2))
    while second.name == first.name:
        second = random_use(rng, second.family, unseen=unseen)
    return first, second, f"{first.text} {rng.choice(('', '', 'Then: ', 'And: '))}{second.text}"


def offer(rng: random.Random, needed: list[Use], *, most: int = 4) -> list[Tool]:
    """Choose the tools on offer: the needed ones and perhaps others, in any order, no name twice."""
    tools = {use.name: use.tool for use in needed}
    for family in rng.sample(list(FAMILIES), rng.randint(0, most - len(tools))):
        other = random_use(rng, family)
        if family not in {use.family for use in needed}:
            tools.setdefault(other.name, other.tool)
    chosen = list(tools.values())
    rng.shuffle(chosen)
    return chosen
