"""Rows of a batch about pictures and clips: what is seen, and an endless source of questions about it.

In: a seeded `random.Random`, the chance of a disturbed picture, the weights of questions, the grid of patches.
Out: `Row`s by kind.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from . import clips, dialogue, pairs, tasks, words
from .asked import rephrased
from .asked.nothing import EMPTY, about_nothing
from .choosing import about_shapes, about_sign, in_a_list
from .looks.canvas import CLIP_FRAMES, GRIDS, PATCH_PX, SQUARE, Grid, sides_of, stretch_of
from .looks.scenery import letter_page, varied_scene, varied_sign
from .looks.unknown import blank, unknown
from .pictures import picture, seen_as, still
from .prompt_text import ASSISTANT, IMAGE, USER, image_text, offer_text, tools_text, turn, turns
from .row import Mix, Row, clip_prefix
from .scenes import Scene, letter_scene, random_scene, sign_scene
from .talk_rows import animation_row, copying_row, free_tools_row, refusal_row, talk_row
from .talks.declarations import adorned
from .talks.free_tools import FAMILIES, again, random_use
from .talks.in_a_row import offer, one_call
from .tasks import Question

LANE_TOKENS = {
    "image": 160, "sign": 96, "letters": 0, "things": 0, "pair": 128, "video": 128, "tools": 128, "wide": 160,
    "wide_sign": 96, "lists": 330, "plain": 96, "free_tools": 340, "talk": 256, "refusal": 96, "animation": 128,
    "copying": 192, "offered": 320,
}  # fmt: skip
LANES = {
    "image": 2, "sign": 1, "letters": 0, "things": 0, "pair": 2, "video": 2, "tools": 3, "wide": 2, "wide_sign": 1,
    "lists": 1, "plain": 1, "free_tools": 2, "talk": 2, "refusal": 3, "animation": 2, "copying": 3,
    "offered": 2,
}  # fmt: skip
# Kinds whose batches have a grid of their own.
OWN_GRIDS: dict[str, tuple[Grid, ...]] = {
    "letters": (*GRIDS, *[SQUARE] * 14), "things": (*GRIDS, *[SQUARE] * 10), "wide": GRIDS, "wide_sign": GRIDS,
    "plain": (*GRIDS, *[SQUARE] * 8), "animation": (SQUARE, *CLIP_FRAMES),
}  # fmt: skip
VARIED = 0.6  # share of pictures of shapes with any background and size
FONTS = 0.8  # share of signs in any font
BESIDE_TOOLS = {"image": 4.0, "lists": 3.0, "sign": 2.0, "pair": 1.0, "video": 1.0}  # what is shown beside tools
CALLS_BESIDE = 0.15  # share of questions beside a picture that need a tool


def _image_row(rng: random.Random, noise: float, mix: Mix, grid: Grid) -> Row:
    scene = varied_scene(rng) if rng.random() < VARIED else random_scene(rng)
    return Row(USER + IMAGE, [still(scene, rng, noise)], turns(rng, lambda: about_shapes(rng, scene, mix)))


def _wide_row(rng: random.Random, noise: float, mix: Mix, grid: Grid) -> Row:
    """A picture that is not square."""
    scene = varied_scene(rng, stretch=stretch_of(*sides_of(rng, grid)))
    seen = [still(scene, rng, noise, grid)]
    return Row(USER + image_text(grid), seen, turns(rng, lambda: about_shapes(rng, scene, mix)))


def _sign_row(rng: random.Random, noise: float, mix: Mix, grid: Grid) -> Row:
    text = words.practice_text(rng)
    scene = varied_sign(rng, text) if rng.random() < FONTS else sign_scene(rng, text)
    return Row(USER + IMAGE, [still(scene, rng, noise)], turns(rng, lambda: about_sign(rng, scene, mix), follow_up=0.0))


def _wide_sign_row(rng: random.Random, noise: float, mix: Mix, grid: Grid) -> Row:
    scene = varied_sign(rng, words.practice_text(rng), stretch=stretch_of(*sides_of(rng, grid)))
    seen = [still(scene, rng, noise, grid)]
    return Row(USER + image_text(grid), seen, turns(rng, lambda: about_sign(rng, scene, mix), follow_up=0.0))


def _letters_row(rng: random.Random, noise: float, mix: Mix, grid: Grid) -> Row:
    """A picture full of letters, for the tower alone."""
    if grid != SQUARE:
        scene = letter_page(rng, stretch=stretch_of(*sides_of(rng, grid)))
    else:
        scene = letter_page(rng) if rng.random() < FONTS else letter_scene(rng)
    return Row(USER + image_text(grid), [still(scene, rng, noise, grid)], iter(()))


def _things_row(rng: random.Random, noise: float, mix: Mix, grid: Grid) -> Row:
    """A picture full of shapes, for the tower alone: where each lies, and which comes first."""
    if grid != SQUARE:
        scene = varied_scene(rng, low=3, stretch=stretch_of(*sides_of(rng, grid)))
    else:
        scene = varied_scene(rng, low=3) if rng.random() < VARIED else random_scene(rng, low=3)
    return Row(USER + image_text(grid), [still(scene, rng, noise, grid)], iter(()))


def _lists_row(rng: random.Random, noise: float, mix: Mix, grid: Grid) -> Row:
    """A picture about which long answers are asked."""
    scene = varied_scene(rng) if rng.random() < VARIED else random_scene(rng)
    seen = [still(scene, rng, noise)]
    return Row(USER + IMAGE, seen, turns(rng, lambda: in_a_list(rng, scene, mix), follow_up=0.0))


def _plain_row(rng: random.Random, noise: float, mix: Mix, grid: Grid) -> Row:
    """A picture in which there is nothing known."""
    size = (grid[1] * PATCH_PX, grid[0] * PATCH_PX)
    frame = seen_as((blank if rng.random() < 0.4 else unknown)(rng, size), rng, noise, grid)
    questions = turns(rng, lambda: about_nothing(rng))
    return Row(USER + image_text(grid), [((frame, frame), EMPTY)], questions)


def _pair_row(rng: random.Random, noise: float, mix: Mix, grid: Grid) -> Row:
    """Two pictures, in half of the rows nearly the same ones."""
    pair = pairs.changed_pair(rng) if rng.random() < 0.5 else None
    first, second = pair[:2] if pair else pairs.mixed_pair(rng)
    seen = [still(scene, rng, noise) for scene in (first, second)]

    def ask() -> Question:
        if rng.random() < 0.4:
            return rephrased.one_of_two(rng, (first, second))
        if pair and rng.random() < 0.5:
            return rephrased.compare(rng, pair)
        return pairs.compare(rng, pair) if pair else pairs.differences(rng, (first, second))

    return Row(USER + IMAGE + IMAGE, seen, turns(rng, ask, follow_up=0.0))


def _video_row(rng: random.Random, noise: float, mix: Mix, grid: Grid) -> Row:
    """A clip, in half of the rows one in which things come and go."""
    is_mixed = rng.random() < 0.5
    clip = clips.mixed_clip(rng) if is_mixed else clips.random_clip(rng)

    def ask() -> Question:
        if is_mixed:
            return clips.second_by_second(rng, clip)
        question = clips.when(rng, clip)
        return question if rng.random() < 0.5 else rephrased.appears(rng, question)

    text, seen = clip_prefix(rng, clip, lambda scene: picture(scene, rng, noise))
    return Row(USER + text, seen, turns(rng, ask, follow_up=0.0))


def _tools_row(rng: random.Random, noise: float, mix: Mix, grid: Grid) -> Row:
    """Tools with or without a picture; one row in eight has neither tools nor picture."""
    way = rng.random()
    if way < 0.12:
        return Row(USER, [], turns(rng, lambda: dialogue.small_talk(rng, has_picture=False), follow_up=0.0))
    scene = None
    needed = [rng.choice(("get_weather", "get_time", "set_timer", "send_message"))]
    if way > 0.55:
        scene = sign_scene(rng, words.sign_text(rng)) if rng.random() < 0.5 else random_scene(rng)
        needed = ["save_note" if scene.sign is not None else "record_count"]
    names = dialogue.offered(rng, needed)
    prefix = tools_text(names) + USER + (IMAGE if scene is not None else "")
    seen = [] if scene is None else [still(scene, rng, noise)]
    return Row(prefix, seen, _tool_questions(rng, names, scene))


def _tool_questions(rng: random.Random, names: list[str], scene: Scene | None) -> Iterator[tuple[str, Question]]:
    needs_picture = ("save_note", "record_count")
    texts = [name for name in names if name not in needs_picture]
    missing = [name for name in dialogue.ASK if name not in names and name not in needs_picture]
    if scene is not None:
        yield turn(rng, dialogue.picture_call(rng, scene))
        yield turn(rng, tasks.describe(rng, scene))
    while True:
        way = rng.random()
        if texts and way < 0.8:
            name = rng.choice(texts)
            question, arguments = dialogue.text_call(rng, name, names)
            yield turn(rng, question)
            if rng.random() < 0.4:
                result, reply = dialogue.tool_result(rng, name, arguments)
                loop = f"{ASSISTANT}{question.target()}\n<|im_start|>user\n<tool_response>\n{result}\n</tool_response>"
                yield question.text + loop + ASSISTANT, reply
        elif scene is not None and way < 0.6:
            yield turn(rng, dialogue.picture_call(rng, scene))
        elif missing and way < 0.9:
            yield turn(rng, dialogue.missing_tool(rng, rng.choice(missing), names))
        else:
            yield turn(rng, dialogue.small_talk(rng, has_picture=scene is not None))


def _offered_row(rng: random.Random, noise: float, mix: Mix, grid: Grid) -> Row:
    """Tools on offer beside what is shown: a question about it needs none of them, now and then one does."""
    kind = rng.choices(list(BESIDE_TOOLS), list(BESIDE_TOOLS.values()))[0]
    row = ROWS[kind](rng, noise, mix, grid)
    use = random_use(rng, rng.choice(list(FAMILIES)))
    tools = offer(rng, [use], most=rng.randint(1, 3))

    def questions() -> Iterator[tuple[str, Question]]:
        while True:
            if rng.random() < CALLS_BESIDE:
                step = one_call(rng, again(rng, use), tools)[0]
                yield step.context(), step.answer
            else:
                yield next(row.questions)

    return Row(offer_text(adorned(rng, tools)) + row.prefix, row.seen, questions())


ROWS = {
    "image": _image_row, "sign": _sign_row, "letters": _letters_row, "things": _things_row, "pair": _pair_row,
    "video": _video_row, "tools": _tools_row, "wide": _wide_row, "wide_sign": _wide_sign_row, "lists": _lists_row,
    "plain": _plain_row, "free_tools": free_tools_row, "talk": talk_row, "refusal": refusal_row,
    "animation": animation_row, "copying": copying_row, "offered": _offered_row,
}  # fmt: skip
