"""Manners of speaking: polite, terse, without marks, in lower case, with a word before or after, in British spelling.

In: a seeded `random.Random` and a wording with places in braces. Out: the same question in another manner.
"""

from __future__ import annotations

import random
import re

TO_DO = (
    "Please {}", "Please {}", "Now {}", "Hey, {}", "OK, {}", "Hi, {}", "Hello, please {}", "Just {}", "Then {}",
    "I want you to {}", "I need you to {}", "I would like you to {}", "You should {}", "Your task: {}",
)  # fmt: skip
TO_DO_ASKED = (
    "Can you {}?", "Can you {}?", "Could you {}?", "Could you please {}?", "Can you please {}?", "Would you {}?",
    "Will you {}?", "Would you please {}?", "Are you able to {}?", "May I ask you to {}?",
)  # fmt: skip
TO_ANSWER = (
    "Hey, {}", "Hi, {}", "OK, {}", "So, {}", "Now, {}", "Tell me: {}", "Please tell me: {}", "Quick question: {}",
    "One more question: {}", "I wonder: {}", "Can you tell me: {}", "Well, {}", "And {}", "Sorry, {}", "Please: {}",
    "A question: {}",
)  # fmt: skip
AFTER = ("{} Thanks.", "{} Thank you.", "{} Thanks!", "{} Please.")
NO_ORDER = frozenset({
    "A", "All", "An", "And", "Any", "Anything", "Before", "Bounding", "Colors", "Difference", "Empty", "Everything",
    "Format", "From", "I", "In", "JSON", "Number", "Object", "Picture", "Schema", "Shapes", "Something", "Text", "The",
    "Then", "There", "This", "We", "Yes", "Nothing",
})  # fmt: skip
SWAPS = (
    ("picture", "image", 0.25), ("image", "picture", 0.25), ("color", "colour", 0.2), ("What is ", "What's ", 0.2),
    ("Where is ", "Where's ", 0.2), ("Do you see", "Can you see", 0.1), ("Can you see", "Do you see", 0.1),
)  # fmt: skip


def spoken(rng: random.Random, text: str) -> str:
    """Say a wording in some manner, in half of the cases as it stands."""
    if rng.random() < 0.5:
        return text
    for word, other, chance in SWAPS:
        if rng.random() < chance and re.search(rf"(?<![{{\w]){re.escape(word)}", text):
            text = re.sub(rf"(?<![{{\w]){re.escape(word)}", other, text)
            break
    way = rng.random()
    if way < 0.5:
        text = _led(rng, text)
    if way > 0.4 and text[-1] in ".?" and rng.random() < 0.5:
        text = text[:-1]
    elif text[-1] in ".?" and rng.random() < 0.1:
        text = rng.choice(AFTER).format(text)
    return _lower(text, whole=rng.random() < 0.5) if rng.random() < 0.35 else text


def _led(rng: random.Random, text: str) -> str:
    """Put words before a wording that fit an order or a question."""
    first = re.match(r"[A-Za-z']+", text)
    if first is None:
        return text
    is_one = re.search(r"[.?!:] ", text) is None
    inner = _lower(text, whole=False)
    if text.endswith("?"):
        return rng.choice(TO_ANSWER).format(inner)
    if first.group() in NO_ORDER or first.group() == "Please":
        return text
    if text.endswith(".") and is_one and rng.random() < 0.5:
        return rng.choice(TO_DO_ASKED).format(inner[:-1])
    return rng.choice(TO_DO).format(inner)


def _lower(text: str, *, whole: bool) -> str:
    if whole:
        return text.lower()
    return text if text.startswith(("I ", "JSON", "OCR")) else text[0].lower() + text[1:]
