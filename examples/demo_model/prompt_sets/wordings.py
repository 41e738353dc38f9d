"""Ask the demo's questions in words that neither its training nor its first tests use.

In: a question as the recipe words it. Out: the same question in other words, of one of two lists that share none:
`tuning` for the set that may be looked at while methods are chosen, `second` for the one that is looked at once.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from .. import clips, dialogue, pairs, tasks
from ..asked import which, yes_no

Table = Sequence[tuple[Sequence[str], Sequence[str]]]  # the recipe's wordings, others for the same question

_ONE_OF_TWO = ("What is in the {nth} picture?", "How many objects are in the {nth} picture?")
_COLOR = ("What color is the {}?", "Which color does the {} have?")
TUNING: Table = (
    (dialogue.ASK["record_count"], ("Put on record how many {labels} you see.",)),
    (tasks.DESCRIBE, ("Put this picture into words.", "Say what there is to see.", "What have we got here?")),
    (tasks.READ, ("Copy the writing you see.", "Spell out the sign for me.", "Which letters stand here?")),
    (tasks.COUNT, ("Work out how many {} were drawn.", "I need the count of {}.")),
    (tasks.WHERE, ("Point me to the {}: where is it?", "Whereabouts is the {}?")),
    (_COLOR, ("Say which color was used for the {}.",)),
    (tasks.BOX, ("As bbox_2d JSON, where does the {} begin and end?", "JSON please: the bounding box around the {}.")),
    (tasks.BOX_ALL, ("JSON please: bounding boxes around all of the {} kind.",)),
    (pairs.COMPARE, ("Look at both pictures. Which change do you notice?", "Tell the two pictures apart.")),
    (_ONE_OF_TWO[:1], ("Only the {nth} picture: what is in it?",)),
    (_ONE_OF_TWO[1:], ("Only the {nth} picture: how many objects?",)),
    (clips.WHEN, ("From which second on is the {} in view?", "Name the second at which the {} comes in.")),
    (clips.HAPPENS, ("Tell me what goes on here.", "Sum the clip up.")),
    (yes_no.IS_THERE.seen, ("Would I find {a} in it?", "Was {a} drawn here?")),
    (which.COLOUR_OF.seen, ("Say which color the {shape} got.",)),
    (dialogue.ASK["get_weather"], ("Look up {city}: what is the weather?",)),
    (dialogue.ASK["get_time"], ("Look up {city}: what time is it?",)),
    (dialogue.ASK["set_timer"], ("I need a timer, {minutes} minutes.",)),
    (dialogue.ASK["send_message"], ("A message for {to}, please: {text}",)),
    (dialogue.ASK["save_note"], ("Put the sign's text into a note.",)),
    (tuple(text for texts in dialogue.TALK.values() for text in texts), ("So, what now?", "Say something nice.")),
)
SECOND: Table = (
    (dialogue.ASK["record_count"], ("Enter the number of {labels} into the record.",)),
    (tasks.DESCRIBE, ("I cannot see it. What does it look like?", "Name everything in view.", "What was drawn here?")),
    (tasks.READ, ("Type the text out.", "Which word or number does the picture hold?", "Read it aloud to me.")),
    (tasks.COUNT, ("Find the total of {}.", "{} - how many, all in all?")),
    (tasks.WHERE, ("In what part of the picture does the {} lie?", "I am looking for the {}. Where?")),
    (_COLOR, ("Of what color is the {}?",)),
    (tasks.BOX, ("Frame the {} with a bbox_2d, as JSON.", "Which rectangle holds the {}? JSON, please.")),
    (tasks.BOX_ALL, ("Frame each {} with a bbox_2d, as JSON.",)),
    (pairs.COMPARE, ("Someone altered the picture. How?", "Second picture against the first: what is new or gone?")),
    (_ONE_OF_TWO[:1], ("Forget the other one. What does the {nth} picture hold?",)),
    (_ONE_OF_TWO[1:], ("Forget the other one. How many objects does the {nth} picture hold?",)),
    (clips.WHEN, ("The {} enters at what second?", "How many seconds in does the {} turn up?")),
    (clips.HAPPENS, ("Watch this and report.", "What takes place as time goes by?")),
    (yes_no.IS_THERE.seen, ("Have a look for {a}. Any luck?", "Is {a} among the things drawn?")),
    (which.COLOUR_OF.seen, ("The {shape}: which color, please?",)),
    (dialogue.ASK["get_weather"], ("Should I take a coat in {city}? Check the weather.",)),
    (dialogue.ASK["get_time"], ("I call a friend in {city}. Which time do they have?",)),
    (dialogue.ASK["set_timer"], ("Wake me {minutes} minutes from now with a timer.",)),
    (dialogue.ASK["send_message"], ("Let {to} know by message: {text}",)),
    (dialogue.ASK["save_note"], ("Keep what is written there as a note.",)),
    (tuple(text for texts in dialogue.TALK.values() for text in texts), ("Well then.", "I have a question for you.")),
)


def reworded(text: str, table: Table, rng: random.Random) -> str | None:
    """Put a question into other words; None where the table has none for it.

    Args:
        text: As the recipe asks.
        table: `TUNING` or `SECOND`.
        rng: Source of chance.
    """
    for usual, others in table:
        for wording in usual:
            match = _pattern(wording).fullmatch(text)
            if match is not None:
                words = match.groupdict()
                fitting = [other for other in others if set(re.findall(r"\{(\w+)\}", _named(other))) <= set(words)]
                return _named(rng.choice(fitting)).format(**words) if fitting else None
    return None


def _named(wording: str) -> str:
    return wording.replace("{}", "{it}")


def _pattern(wording: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", _named(wording))
    return re.compile("".join(f"(?P<{part}>.+)" if index % 2 else re.escape(part) for index, part in enumerate(parts)))
