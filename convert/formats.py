"""Read formats of matrices as the command line names them: `4bit`, `4bit/32`, or bits, group size and mode."""

from __future__ import annotations

from edge.config import LayerQuantization
from edge.config_json import PACKED_FORMS
from edge.errors import UsageError
from edge.plan.recipes import FORMATS, Format


def parse_format(text: str) -> Format:
    """Read a format: a name such as `4bit` or `bf16`, with another group size as `4bit/32`.

    Raises:
        UsageError: There is no such format.
    """
    name, _, group = text.partition("/")
    if name not in FORMATS:
        raise UsageError(f"{text!r} is not a format. Choose one of {', '.join(FORMATS)}, or 4bit/32 for groups of 32.")
    setting = FORMATS[name]
    if not group:
        return setting
    if setting is None or not group.isdecimal():
        raise UsageError(f"{text!r}: expected a group size behind the slash, as in 4bit/32.")
    return checked_format(bits=setting.bits, group_size=int(group), mode=setting.mode)


def checked_format(*, bits: int | None, group_size: int | None, mode: str) -> LayerQuantization:
    """Make a format of numbers; what is None is MLX's default of the mode.

    Raises:
        UsageError: MLX has no such format.
    """
    if mode not in PACKED_FORMS:
        raise UsageError(f"--mode {mode}: expected one of {', '.join(PACKED_FORMS)}.")
    group_sizes, bits_choices = PACKED_FORMS[mode]
    setting = LayerQuantization(group_size=group_size or group_sizes[0], bits=bits or bits_choices[0], mode=mode)
    for name, value, choices in (("group size", setting.group_size, group_sizes), ("bits", setting.bits, bits_choices)):
        if value not in choices:
            shown = ", ".join(str(choice) for choice in sorted(choices))
            raise UsageError(f"{name} {value} does not exist in mode {mode}, only {shown}.")
    return setting
