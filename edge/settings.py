"""Read how a checkpoint wants its pictures, videos and sampling: the processor and generation files of a folder.

In: preprocessor_config.json, video_preprocessor_config.json, processor_config.json (a transformers-5 save) and
generation_config.json. Out: frozen settings. What the prompt code does not do is refused here by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Self

from edge.errors import ConfigError
from edge.precedence import PRECEDENCE, find_setting, say_overruled
from edge.records import dataclass
from edge.unheeded import say_unheeded

# JSON values are untyped until they are read by the functions below.
Json = Mapping[str, Any]

BICUBIC = 3
MAX_NUMBER = 1e30  # no setting comes near
RESCALE_FACTOR = 1 / 255
# Settings that must have this value when a file names them: the only preprocessing the checkpoints were trained with.
FIXED = {
    "do_resize": True,
    "do_rescale": True,
    "do_normalize": True,
    "do_convert_rgb": True,
    "do_center_crop": False,
    "do_pad": False,
    "do_sample_frames": True,
    "resample": BICUBIC,
}


@dataclass(frozen=True, slots=True)
class _PatchSettings:
    """What pictures and videos share: pixel limits, patch sizes and the values pixels are normalised with."""

    min_pixels: int = 65536
    max_pixels: int = 16777216
    patch_size: int = 16
    temporal_patch_size: int = 2
    merge_size: int = 2
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    @property
    def factor(self) -> int:
        """Edge of one visual token, in pixels; resized sizes are multiples of it."""
        return self.patch_size * self.merge_size

    def with_limits(self, *, min_pixels: int | None = None, max_pixels: int | None = None) -> Self:
        """Return a copy with other limits; None keeps the checkpoint's.

        Raises:
            ConfigError: A limit is not positive, or the least exceeds the most.
        """
        low, high = _checked_limits(self.min_pixels, self.max_pixels, min_pixels, max_pixels)
        return replace(self, min_pixels=low, max_pixels=high)


@dataclass(frozen=True, slots=True)
class ImageSettings(_PatchSettings):
    """How a picture becomes patches; the defaults are those of every published Qwen3-VL checkpoint.

    Attributes:
        min_pixels: Smaller pictures are enlarged to at least this many pixels.
        max_pixels: Larger pictures are shrunk to at most this many pixels.
        patch_size: Edge of a patch, in pixels.
        temporal_patch_size: Frames in one patch (a picture is repeated).
        merge_size: Patches along one axis that become one visual token.
        mean: Subtracted from each channel, on the scale 0..1.
        std: Divides each channel, on the scale 0..1.
    """


@dataclass(frozen=True, slots=True)
class VideoSettings(_PatchSettings):
    """How a video becomes frames and patches; the defaults are those of every published Qwen3-VL checkpoint.

    Attributes:
        min_pixels: Least frames x height x width after resizing.
        max_pixels: Most frames x height x width after resizing.
        fps: Frames taken per second.
        min_frames: Frames taken at least (if the video has them).
        max_frames: Frames taken at most.
        cap_pixels_per_frame: Bound each frame as qwen-vl-utils does (a transformers 5.2x setting, off by default).
        max_frame_tokens: That bound, in visual tokens per frame.
    """

    min_pixels: int = 4096
    max_pixels: int = 25165824
    fps: float = 2.0
    min_frames: int = 4
    max_frames: int = 768
    cap_pixels_per_frame: bool = False
    max_frame_tokens: int = 768


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """The checkpoint's own sampling advice.

    The defaults are those of transformers' GenerationConfig, which hold where the file names no value; presence
    penalty stands in no published file.
    """

    do_sample: bool = False
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 50
    repetition_penalty: float = 1.0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    eos_token_ids: tuple[int, ...] = ()
    pad_token_id: int | None = None


def read_image_settings(folder: Path) -> ImageSettings:
    """Read the picture settings of a model folder.

    Raises:
        ConfigError: No processor file is there, or one asks for something the prompt code does not do.
    """
    found = find_setting(folder, "images")
    if found is None:
        raise ConfigError(
            f"{folder}: expected preprocessor_config.json or processor_config.json, found neither. "
            "Download the folder's processor files."
        )
    say_overruled(found)
    return image_settings_from_dict(found.value, where=found.where)


def read_video_settings(folder: Path) -> VideoSettings:
    """Read the video settings of a model folder.

    As in transformers, those of pictures count where no file names any for videos; a folder without both gets those
    that all published checkpoints have.

    Raises:
        ConfigError: The file asks for something the prompt code does not do.
    """
    found = find_setting(folder, "videos")
    if found is None:
        return VideoSettings()
    say_overruled(found)
    return video_settings_from_dict(found.value, where=found.where)


def read_generation_settings(folder: Path) -> GenerationSettings:
    """Read generation_config.json, or config.json where a converter merged it in there.

    Raises:
        ConfigError: A value has the wrong type.
    """
    found = find_setting(folder, "generation")
    if found is None:
        return GenerationSettings()
    raw: Json = found.value
    say_unheeded(raw, found.where)
    if Path(found.where).name == PRECEDENCE["generation"][-1].file:
        raw = _from_model_config(raw)
    return generation_settings_from_dict(raw, where=found.where)


def _from_model_config(raw: Json) -> Json:
    """Take advice from config.json: its top level, and its text part for what the top level does not name."""
    names = [item.name for item in fields(GenerationSettings)]
    keys = ["eos_token_id" if name == "eos_token_ids" else name for name in names]
    text = raw.get("text_config")
    inner: Json = text if isinstance(text, Mapping) else {}
    outer = {key: raw[key] for key in keys if raw.get(key) is not None}
    return {**{key: inner[key] for key in keys if key in inner}, **outer}


def image_settings_from_dict(raw: Json, *, where: str = "preprocessor_config.json") -> ImageSettings:
    """Read parsed picture settings, in the hub's, transformers-5's or mlx-community's spelling.

    Raises:
        ConfigError: A value is missing, out of range or not supported.
    """
    _refuse_unsupported(raw, where)
    default = ImageSettings()
    low, high = _pixel_limits(raw, where)
    return ImageSettings(
        min_pixels=low,
        max_pixels=high,
        patch_size=_whole(raw, "patch_size", where, default.patch_size),
        temporal_patch_size=_whole(raw, "temporal_patch_size", where, default.temporal_patch_size),
        merge_size=_whole(raw, "merge_size", where, default.merge_size),
        mean=_triple(raw, "image_mean", where, default.mean),
        std=_triple(raw, "image_std", where, default.std),
    )


def video_settings_from_dict(raw: Json, *, where: str = "video_preprocessor_config.json") -> VideoSettings:
    """Read parsed video settings.

    Raises:
        ConfigError: A value is missing, out of range or not supported.
    """
    _refuse_unsupported(raw, where)
    if raw.get("num_frames") is not None:
        raise ConfigError(f"{where}: num_frames {raw['num_frames']!r} is not supported, only fps. Remove the key.")
    default = VideoSettings()
    low, high = _pixel_limits(raw, where)
    least, most = (
        _whole(raw, "min_frames", where, default.min_frames),
        _whole(raw, "max_frames", where, default.max_frames),
    )
    if least > most:
        raise ConfigError(f"{where}: min_frames {least} exceeds max_frames {most}. Check the file.")
    return VideoSettings(
        min_pixels=low,
        max_pixels=high,
        patch_size=_whole(raw, "patch_size", where, default.patch_size),
        temporal_patch_size=_whole(raw, "temporal_patch_size", where, default.temporal_patch_size),
        merge_size=_whole(raw, "merge_size", where, default.merge_size),
        mean=_triple(raw, "image_mean", where, default.mean),
        std=_triple(raw, "image_std", where, default.std),
        fps=_number(raw, "fps", where, default.fps, least=1e-6),
        min_frames=least,
        max_frames=most,
        cap_pixels_per_frame=_flag(raw, "cap_pixels_per_frame", where, False),
        max_frame_tokens=_whole(raw, "max_video_tokens", where, default.max_frame_tokens),
    )


def generation_settings_from_dict(raw: Json, *, where: str = "generation_config.json") -> GenerationSettings:
    """Read parsed sampling settings.

    Raises:
        ConfigError: A value has the wrong type or lies out of range.
    """
    default = GenerationSettings()
    eos = raw.get("eos_token_id")
    eos_ids = [] if eos is None else eos if isinstance(eos, list) else [eos]
    if not all(isinstance(item, int) and not isinstance(item, bool) and item >= 0 for item in eos_ids):
        raise ConfigError(f"{where}: eos_token_id should be one or more token ids, found {eos!r}. Check the file.")
    pad = raw.get("pad_token_id")
    return GenerationSettings(
        do_sample=_flag(raw, "do_sample", where, default.do_sample),
        temperature=_number(raw, "temperature", where, default.temperature),
        top_p=_number(raw, "top_p", where, default.top_p, most=1.0),
        top_k=_whole(raw, "top_k", where, default.top_k, least=0),
        repetition_penalty=_number(raw, "repetition_penalty", where, default.repetition_penalty, least=1e-6),
        min_p=_number(raw, "min_p", where, default.min_p, least=0.0, most=1.0),
        presence_penalty=_number(raw, "presence_penalty", where, default.presence_penalty, least=-2.0),
        eos_token_ids=tuple(eos_ids),
        pad_token_id=pad if isinstance(pad, int) else None,
    )


def _refuse_unsupported(raw: Json, where: str) -> None:
    for key, wanted in FIXED.items():
        found = raw.get(key)
        if found is not None and found != wanted:
            raise ConfigError(f"{where}: {key} {found!r} is not supported, only {wanted!r}.")
    factor = raw.get("rescale_factor")
    if factor is not None and not (isinstance(factor, float) and abs(factor - RESCALE_FACTOR) < 1e-12):
        raise ConfigError(f"{where}: rescale_factor {factor!r} is not supported, only 1/255.")


def _pixel_limits(raw: Json, where: str) -> tuple[int, int]:
    size = raw.get("size")
    sizes: Json = size if isinstance(size, Mapping) else {}
    # The names say edges, the values are pixel counts; older files name them min_pixels and max_pixels.
    limits = {
        "min_pixels": raw.get("min_pixels") or sizes.get("shortest_edge") or sizes.get("min_pixels"),
        "max_pixels": raw.get("max_pixels") or sizes.get("longest_edge") or sizes.get("max_pixels"),
    }
    for name, value in limits.items():
        if value is None:
            raise ConfigError(f"{where}: size.shortest_edge and size.longest_edge are expected, {name} is missing.")
    low, high = _whole(limits, "min_pixels", where, 0), _whole(limits, "max_pixels", where, 0)
    if low > high:
        raise ConfigError(f"{where}: the least pixels {low} exceed the most {high}. Check the file.")
    return low, high


def _checked_limits(low: int, high: int, min_pixels: int | None, max_pixels: int | None) -> tuple[int, int]:
    """Lower the other end where only one is named, so that `max_pixels` below the checkpoint's least works."""
    for name, value in (("min_pixels", min_pixels), ("max_pixels", max_pixels)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise ConfigError(f"{name} should be a positive whole number, found {value!r}.")
    if min_pixels is not None and max_pixels is not None and min_pixels > max_pixels:
        raise ConfigError(f"min_pixels {min_pixels} exceeds max_pixels {max_pixels}. Swap or widen them.")
    high = max_pixels if max_pixels is not None else max(high, min_pixels or 0)
    low = min_pixels if min_pixels is not None else min(low, high)
    return low, high


def _whole(raw: Json, key: str, where: str, default: int, *, least: int = 1) -> int:
    value = raw.get(key)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{where}: {key} should be a whole number of at least {least}, found {value!r}.")
    return value


def _number(raw: Json, key: str, where: str, default: float, *, least: float = 0.0, most: float = MAX_NUMBER) -> float:
    value = raw.get(key)
    if value is None:
        return default
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
        raise ConfigError(f"{where}: {key} should be a number from {least} to {most}, found {value!r}.")
    return float(value)


def _flag(raw: Json, key: str, where: str, default: bool) -> bool:
    value = raw.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise ConfigError(f"{where}: {key} should be true or false, found {value!r}.")
    return value


def _triple(raw: Json, key: str, where: str, default: tuple[float, float, float]) -> tuple[float, float, float]:
    value = raw.get(key)
    if value is None:
        return default
    is_list = isinstance(value, list) and len(value) == 3
    if not is_list or not all(
        isinstance(item, int | float) and not isinstance(item, bool) and abs(item) <= MAX_NUMBER for item in value
    ):
        raise ConfigError(f"{where}: {key} should be three numbers, found {value!r}.")
    if key == "image_std" and min(value) <= 0:
        raise ConfigError(f"{where}: image_std should be three positive numbers, found {value!r}.")
    return float(value[0]), float(value[1]), float(value[2])
