"""Pack scenes and questions into training batches: prefixes, lanes behind them, positions, labels, vision targets.

In: a batch kind and a seeded `random.Random`. Out: `Batch`, numpy only, so that a worker process can make it.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from PIL import Image, ImageFilter
from tokenizers import Tokenizer

from . import clips, dialogue, pairs, tasks, words
from .clips import Clip
from .scenes import COLOURS, GLYPHS, SHAPES, SIZE_PX, Scene, letter_scene, random_scene, sign_scene
from .tasks import Question

LANE_TOKENS = {"image": 128, "sign": 38, "letters": 0, "pair": 128, "video": 128, "tools": 128}
USER = "<|im_start|>user\n"
ASSISTANT = "<|im_end|>\n<|im_start|>assistant\n<think>\n"
IMAGE = "<|vision_start|>" + "<|image_pad|>" * 16 + "<|vision_end|>"
VIDEO_PART = "<|vision_start|>" + "<|video_pad|>" * 16 + "<|vision_end|>"
TOOLS_HEAD = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function "
    "signatures within <tools></tools> XML tags:\n<tools>"
)
TOOLS_TAIL = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
    '<tool_call></tool_call> XML tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n'
    "</tool_call><|im_end|>\n"
)
LANES = {"image": 3, "sign": 1, "letters": 0, "pair": 2, "video": 2, "tools": 3}
Frames = tuple[np.ndarray, np.ndarray]
Seen = tuple[Frames, Scene]


@dataclass(slots=True)
class Row:
    """A prefix text, what is seen in it (two frames and the scene of each unit), and an endless source of questions."""

    prefix: str
    seen: list[Seen]
    questions: Iterator[tuple[str, Question]]


@dataclass(slots=True)
class Batch:
    """Arrays of one microbatch; B rows, P prefix tokens, K lanes, L lane tokens, N vision units."""

    kind: str
    prefix_ids: np.ndarray  # (B, P)
    prefix_pos: np.ndarray  # (3, B, P)
    prefix_len: np.ndarray  # (B,)
    lane_ids: np.ndarray  # (B, K, L)
    lane_pos: np.ndarray  # (B, K, L)
    lane_seg: np.ndarray  # (B, K, L), question number, -1 for padding
    labels: np.ndarray  # (B, K, L), id of the next token or -100
    frames: np.ndarray  # (N, 2, 128, 128, 3) uint8
    classes: np.ndarray  # (N, 3, 64): glyph or shape, colour, index in reading order
    digits: np.ndarray  # (N, 16, 8): hundreds and tens of the four box sides, -1 where no thing is centred
    tasks: list[str] = field(default_factory=list)  # by question number


class Packer:
    """Makes batches with one tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._encode = lru_cache(maxsize=100_000)(lambda text: tuple(tokenizer.encode(text).ids))
        self._image_pads = set(tokenizer.encode("<|image_pad|><|video_pad|>").ids)

    def batch(
        self, kind: str, rng: random.Random, *, rows: int, noise: float, mix: dict[str, float], lanes: int | None = None
    ) -> Batch:
        """Make one microbatch.

        Args:
            kind: Key of `LANES`.
            rng: Source of chance.
            rows: Number of prefixes.
            noise: Chance that a picture is disturbed.
            mix: Weights of the questions about shapes.
            lanes: Lanes behind each prefix, by default those of `LANES`; 0 for a batch of pictures alone.
        """
        made = [ROWS[kind](rng, noise, mix) for _ in range(rows)]
        prefixes = [self._encode(row.prefix) for row in made]
        longest = -(-max(map(len, prefixes)) // 8) * 8
        lanes = LANES[kind] if lanes is None else lanes
        prefix_ids = np.zeros((rows, longest), np.int64)
        prefix_pos = np.zeros((3, rows, longest), np.int64)
        shape = (rows, lanes, LANE_TOKENS[kind])
        out = Batch(
            kind, prefix_ids, prefix_pos, np.array([len(ids) for ids in prefixes]), np.zeros(shape, np.int64),
            np.zeros(shape, np.int64), np.full(shape, -1, np.int64), np.full(shape, -100, np.int64),
            np.array([frames for row in made for frames, _ in row.seen], np.uint8).reshape(-1, 2, SIZE_PX, SIZE_PX, 3),
            np.array([class_targets(scene) for row in made for _, scene in row.seen]).reshape(-1, 3, 64),
            np.array([digit_targets(scene) for row in made for _, scene in row.seen]).reshape(-1, 16, 8),
        )  # fmt: skip
        for index, row in enumerate(made):
            ids = prefixes[index]
            prefix_ids[index, : len(ids)] = ids
            positions = prefix_positions(ids, self._image_pads)
            prefix_pos[:, index, : len(ids)] = positions
            self._fill_lanes(out, index, row, int(positions.max()) + 1)
        return out

    def _fill_lanes(self, out: Batch, index: int, row: Row, start: int) -> None:
        waiting: tuple[tuple[int, ...], tuple[int, ...], str] | None = None
        for lane in range(out.lane_ids.shape[1]):
            used, tries = 0, 0
            while tries < 3:
                if waiting is None:
                    context, question = next(row.questions)
                    waiting = (self._encode(context), self._encode(question.target()), question.kind)
                before, after, kind = waiting
                size = len(before) + len(after)
                if size > LANE_TOKENS[out.kind] - used:
                    tries += 1
                    if used == 0 or tries < 3:
                        waiting = None
                    continue
                span = slice(used, used + size)
                out.lane_ids[index, lane, span] = before + after
                out.lane_pos[index, lane, span] = start + np.arange(size)
                out.lane_seg[index, lane, span] = len(out.tasks)
                out.labels[index, lane, used + len(before) - 1 : used + size - 1] = after
                out.tasks.append(kind)
                used, waiting = used + size, None


def prefix_positions(ids: tuple[int, ...], pads: set[int]) -> np.ndarray:
    """Return positions (3, P): each run of 16 visual tokens is a 4x4 grid."""
    positions, now, index = np.zeros((3, len(ids)), np.int64), 0, 0
    while index < len(ids):
        if ids[index] in pads:
            grid = np.arange(16)
            positions[:, index : index + 16] = now + np.stack((0 * grid, grid // 4, grid % 4))
            now, index = now + 4, index + 16
        else:
            positions[:, index] = now
            now, index = now + 1, index + 1
    return positions


def picture(scene: Scene, rng: random.Random, noise: float) -> np.ndarray:
    """Draw a scene as the vision tower sees it: 256x256 brought to 128x128, perhaps disturbed."""
    image = scene.draw(rng.choice((1, 2, 2, 3)) if noise else 2)
    image = image.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC)
    if rng.random() < noise:
        way = rng.randrange(3)
        if way == 0:
            image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.8)))
        elif way == 1:
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=rng.randint(50, 95))
            image = Image.open(buffer)
        else:
            grain = np.random.default_rng(rng.getrandbits(32)).normal(0, rng.uniform(1, 8), (SIZE_PX, SIZE_PX, 3))
            return np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)
    return np.asarray(image)


def class_targets(scene: Scene) -> np.ndarray:
    """Return (3, 64) in block order: class, colour and reading index of what covers each patch's centre."""
    out = np.zeros((3, 8, 8), np.int64)
    things = enumerate(scene.things)
    found = [(index, thing.box(), 1 + SHAPES.index(thing.shape), thing.colour) for index, thing in things]
    for sign in scene.signs:
        boxes = enumerate(zip(sign.text, sign.glyph_boxes(), strict=True))
        found += [(index, box, 6 + GLYPHS.index(char), sign.colour) for index, (char, box) in boxes]
    for index, box, name, colour in found:
        rows = [row for row in range(8) if box[1] <= 16 * row + 8 <= box[3]]
        cols = [col for col in range(8) if box[0] <= 16 * col + 8 <= box[2]]
        row, col = int((box[1] + box[3]) / 2 // 16), int((box[0] + box[2]) / 2 // 16)
        for y in {*rows, row}:
            for x in {*cols, col}:
                out[:2, y, x] = name, 1 + list(COLOURS).index(colour)
        out[2, row, col] = index + 1
    return out.reshape(3, 4, 2, 4, 2).transpose(0, 1, 3, 2, 4).reshape(3, 64)


def digit_targets(scene: Scene) -> np.ndarray:
    """Return (16, 8): hundreds and tens of the box of the one thing centred in each 32x32 field, else -1."""
    out = np.full((16, 8), -1, np.int64)
    for thing in scene.things:
        cell = int(thing.y // 32) * 4 + int(thing.x // 32)
        box = tasks.relative_box(thing)
        out[cell] = [digit for value in box for digit in (value // 100, value // 10 % 10)]
    return out


def _still(scene: Scene, rng: random.Random, noise: float) -> Seen:
    frame = picture(scene, rng, noise)
    return (frame, frame), scene


def _image_row(rng: random.Random, noise: float, mix: dict[str, float]) -> Row:
    scene = random_scene(rng)
    makers = {"describe": tasks.describe, "count": tasks.count, "where": tasks.where, "box": tasks.box,
              "box_all": tasks.box_all, "read": tasks.read}  # fmt: skip

    def ask() -> Question:
        kind = rng.choices(list(makers), [mix[name] for name in makers])[0]
        return makers[kind](rng, scene)

    return Row(USER + IMAGE, [_still(scene, rng, noise)], _turns(rng, ask))


def _sign_row(rng: random.Random, noise: float, mix: dict[str, float]) -> Row:
    scene = sign_scene(rng, words.practice_text(rng))

    def ask() -> Question:
        return tasks.read(rng, scene) if rng.random() < 0.75 else tasks.about_sign(rng, scene)

    return Row(USER + IMAGE, [_still(scene, rng, noise)], _turns(rng, ask, follow_up=0.0))


def _letters_row(rng: random.Random, noise: float, mix: dict[str, float]) -> Row:
    """A picture full of letters, for the tower alone."""
    return Row(USER + IMAGE, [_still(letter_scene(rng), rng, noise)], iter(()))


def _pair_row(rng: random.Random, noise: float, mix: dict[str, float]) -> Row:
    """Two pictures, in half of the rows nearly the same ones."""
    pair = pairs.changed_pair(rng) if rng.random() < 0.5 else None
    first, second = pair[:2] if pair else pairs.mixed_pair(rng)
    seen = [_still(scene, rng, noise) for scene in (first, second)]

    def ask() -> Question:
        if rng.random() < 0.4:
            return pairs.one_of_two(rng, (first, second))
        return pairs.compare(rng, pair) if pair else pairs.differences(rng, (first, second))

    return Row(USER + IMAGE + IMAGE, seen, _turns(rng, ask, follow_up=0.0))


def _video_row(rng: random.Random, noise: float, mix: dict[str, float]) -> Row:
    """A clip, in half of the rows one in which things come and go."""
    is_mixed = rng.random() < 0.5
    clip = clips.mixed_clip(rng) if is_mixed else clips.random_clip(rng)
    ask = clips.second_by_second if is_mixed else clips.when
    text, seen = clip_prefix(rng, clip, lambda scene: picture(scene, rng, noise))
    return Row(USER + text, seen, _turns(rng, lambda: ask(rng, clip), follow_up=0.0))


def clip_prefix(rng: random.Random | None, clip: Clip, draw: Callable[[Scene], np.ndarray]) -> tuple[str, list[Seen]]:
    """Write a clip's part of the prompt and draw its frames, two for each temporal patch."""
    times = clips.clip_times(rng, clip)
    drawn = {second: draw(view) for second, view in enumerate(clip.views)}
    text, seen = "", []
    for first, second in zip(times[::2], times[1::2], strict=True):
        shown = [clip.second_of(time) for time in (first, second)]
        seen.append(((drawn[shown[0]], drawn[shown[1]]), clip.views[shown[1]]))
        text += f"<{(first + second) / 2:.1f} seconds>" + VIDEO_PART
    return text, seen


def _tools_row(rng: random.Random, noise: float, mix: dict[str, float]) -> Row:
    """Tools with or without a picture; one row in eight has neither tools nor picture."""
    way = rng.random()
    if way < 0.12:
        return Row(USER, [], _turns(rng, lambda: dialogue.small_talk(rng, has_picture=False), follow_up=0.0))
    scene = None
    needed = [rng.choice(("get_weather", "get_time", "set_timer", "send_message"))]
    if way > 0.55:
        scene = sign_scene(rng, words.sign_text(rng)) if rng.random() < 0.5 else random_scene(rng)
        needed = ["save_note" if scene.sign is not None else "record_count"]
    names = dialogue.offered(rng, needed)
    prefix = tools_text(names) + USER + (IMAGE if scene is not None else "")
    seen = [] if scene is None else [_still(scene, rng, noise)]
    return Row(prefix, seen, _tool_questions(rng, names, scene))


def tools_text(names: list[str]) -> str:
    """Write the system turn that offers tools, as the chat template does."""
    lines = "".join("\n" + json.dumps(dialogue.TOOLS[name], ensure_ascii=False) for name in names)
    return "<|im_start|>system\n" + TOOLS_HEAD + lines + TOOLS_TAIL


def _tool_questions(rng: random.Random, names: list[str], scene: Scene | None) -> Iterator[tuple[str, Question]]:
    needs_picture = ("save_note", "record_count")
    texts = [name for name in names if name not in needs_picture]
    missing = [name for name in dialogue.ASK if name not in names and name not in needs_picture]
    if scene is not None:
        yield _turn(dialogue.picture_call(rng, scene))
        yield _turn(tasks.describe(rng, scene))
    while True:
        way = rng.random()
        if texts and way < 0.8:
            name = rng.choice(texts)
            question, arguments = dialogue.text_call(rng, name)
            yield _turn(question)
            if rng.random() < 0.4:
                result, reply = dialogue.tool_result(rng, name, arguments)
                said = f"{ASSISTANT}{question.target()}\n<|im_start|>user\n<tool_response>\n{result}\n</tool_response>"
                yield question.text + said + ASSISTANT, reply
        elif scene is not None and way < 0.6:
            yield _turn(dialogue.picture_call(rng, scene))
        elif missing and way < 0.9:
            yield _turn(dialogue.missing_tool(rng, rng.choice(missing)))
        else:
            yield _turn(dialogue.small_talk(rng, has_picture=scene is not None))


def _turn(question: Question) -> tuple[str, Question]:
    return question.text + ASSISTANT, question


def _turns(rng: random.Random, ask: Callable[[], Question], follow_up: float = 0.08) -> Iterator[tuple[str, Question]]:
    """Yield single questions, now and then one that follows another question and its answer."""
    while True:
        question = ask()
        yield _turn(question)
        if rng.random() < follow_up:
            after = ask()
            history = f"{question.text}<|im_end|>\n<|im_start|>assistant\n{question.answer}<|im_end|>\n{USER}"
            yield history + after.text + ASSISTANT, after


ROWS = {
    "image": _image_row, "sign": _sign_row, "letters": _letters_row, "pair": _pair_row, "video": _video_row,
    "tools": _tools_row,
}  # fmt: skip
