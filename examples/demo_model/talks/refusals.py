"""Questions out of the domain, and the one short answer to all of them.

In: a seeded `random.Random`. Out: a `Question`.
"""

from __future__ import annotations

import random

from ..asked.wordings import Practice, Wordings, choice
from ..dialogue import CANNOT
from ..tasks import Question
from . import further
from .free_tools import made_up

MADE_UP = 0.15  # share of topics that mean nothing, in training

ASK = Wordings(
    ("What is the capital of {}?", "Who is the king of {}?", "Tell me about {}.", "Write a poem about {}.",
     "Write a story about {}.", "Who invented {}?", "What is {}?", "Explain {}.", "Translate {} to French.",
     "How do I cook {}?", "Who wrote {}?", "Why is {} important?", "Write a letter to {}.", "Give me a recipe for {}.",
     "What do you think of {}?", "How far is {}?", "Write code for {}.", "Tell me a joke about {}.",
     "What does {} mean?", "When was {} born?", "How old is {}?", "Sing a song about {}.", "Is {} good?",
     "Can you help me with {}?"),
    ("Write an essay on {}.", "What is the history of {}?", "Give me advice on {}.", "How does {} work?",
     "Summarize {}."),
    further.ASK,
)  # fmt: skip
TOPICS = (
    "France", "Spain", "love", "water", "the moon", "music", "money", "physics", "the internet", "Einstein", "football",
    "my boss", "cats", "bread", "history", "a computer", "democracy", "a good day", "the news", "Mozart", "pasta",
    "chess", "the sea", "a train", "my homework", "time", "life", "the sun", "winter", "a robot", "trees", "gold",
)  # fmt: skip
HELD_OUT_TOPICS = ("Germany", "coffee", "the universe", "dinosaurs", "tennis", "a car")
SUMS = Wordings(
    ("What is {a} + {b}?", "What is {a} times {b}?", "{a} - {b} = ?", "Add {a} and {b}.", "Divide {a} by {b}.",
     "How much is {a} plus {b}?"),
    ("What is the sum of {a} and {b}?", "Multiply {a} by {b}."),
    further.SUMS,
)  # fmt: skip


def refusal(rng: random.Random, *, unseen: bool = False) -> Question:
    """Ask for what the model cannot do."""
    if rng.random() < 0.15:
        text = SUMS.pick(rng, unseen=unseen, a=str(rng.randint(2, 99)), b=str(rng.randint(2, 99)))
    else:
        topic = rng.choice(HELD_OUT_TOPICS) if unseen else choice(rng, TOPICS, further.TOPICS)
        if isinstance(rng, Practice) and rng.random() < MADE_UP:
            topic = made_up(rng)
        text = ASK.template(rng, unseen=unseen).format(topic, topic)
    return Question("refusal", text, "I answer in words.", CANNOT)
