"""Compare pictures with the reference: torch's uint8 resize, and transformers' conversion to RGB, to the bit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from edge.prompt.media.patches import fit_image, make_patches, resize_frame
from edge.prompt.media.picture import load_image, picture_to_rgb
from edge.prompt.media.resize import resize_bicubic
from edge.prompt.types import Pixels
from edge.settings import ImageSettings
from tests.prompt_parts import encode


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def torch_resize(pixels: Pixels, height: int, width: int) -> Pixels:
    """Do what torchvision's `resize` does with a uint8 tensor on the CPU."""
    batch = torch.from_numpy(pixels.copy()).reshape(-1, *pixels.shape[-3:])
    resized: Pixels = functional.interpolate(batch, size=(height, width), mode="bicubic", antialias=True).numpy()
    return resized.reshape(*pixels.shape[:-2], height, width)


def noise(kind: str, height: int, width: int, seed: int) -> Pixels:
    generator = np.random.default_rng(seed)
    if kind == "extreme":  # black and white pixels overshoot most
        return (generator.integers(0, 2, (3, height, width)) * 255).astype(np.uint8)
    return generator.integers(0, 256, (3, height, width), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["noise", "extreme"])
@pytest.mark.parametrize("seed", range(60))
def test_resizing_equals_torch_on_random_sizes(kind: str, seed: int) -> None:
    generator = np.random.default_rng(1000 + seed)
    height, width, new_height, new_width = (int(size) for size in generator.integers(2, 320, 4))
    pixels = noise(kind, height, width, seed)
    expected = torch_resize(pixels, new_height, new_width)
    assert np.array_equal(resize_bicubic(pixels, height=new_height, width=new_width), expected)


@pytest.mark.parametrize(
    ("size", "new_size"),
    [
        ((720, 1280), (704, 1280)),
        ((1080, 1920), (1088, 1920)),
        ((3000, 4000), (960, 1280)),
        ((480, 640), (1024, 1376)),
        ((20, 4000), (32, 4000)),
        ((3, 5), (224, 352)),
        ((2000, 30), (2080, 32)),
    ],
)
def test_resizing_equals_torch_on_real_sizes(size: tuple[int, int], new_size: tuple[int, int]) -> None:
    pixels = noise("noise", *size, 7)
    expected = torch_resize(pixels, *new_size)
    assert np.array_equal(resize_bicubic(pixels, height=new_size[0], width=new_size[1]), expected)


def test_pillows_bicubic_would_not_be_equal() -> None:
    pixels = noise("noise", 300, 500, 3)
    picture = Image.fromarray(pixels.transpose(1, 2, 0)).resize((512, 288), Image.Resampling.BICUBIC)
    distance = np.abs(np.asarray(picture).transpose(2, 0, 1).astype(int) - torch_resize(pixels, 288, 512))
    assert distance.max() > 0  # 23 levels on this noise, 1 to 2 on photographs


def reference_patches(frames: torch.Tensor) -> torch.Tensor:
    """Normalise and cut as transformers does with videos; a picture is a video of two equal frames."""
    times, channels, height, width = frames.shape
    mean, std = (torch.full((1, 3, 1, 1), 0.5 * (1.0 / 0.00392156862745098)) for _ in range(2))
    values = frames.to(torch.float32).sub(mean).div_(std)
    if times % 2:
        values = torch.cat([values, values[-1:]])
    grid = (len(values) // 2, height // 16, width // 16)
    values = values.view(grid[0], 2, channels, grid[1] // 2, 2, 16, grid[2] // 2, 2, 16)
    return values.permute(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(grid[0] * grid[1] * grid[2], -1)


@pytest.mark.parametrize("size", [(300, 500), (64, 96), (720, 1280), (1, 1)])
def test_patches_equal_the_reference_exactly(size: tuple[int, int]) -> None:
    rgb = noise("noise", *size, 5).transpose(1, 2, 0)
    height, width = fit_image(*size, ImageSettings())
    ours = make_patches(resize_frame(rgb, height=height, width=width)[None], ImageSettings())
    resized = torch_resize(np.ascontiguousarray(rgb.transpose(2, 0, 1)), height, width)
    assert np.array_equal(ours, reference_patches(torch.from_numpy(resized)[None]).numpy())


def pictures() -> list[tuple[str, Image.Image]]:
    generator = np.random.default_rng(0)
    base = Image.fromarray(generator.integers(0, 256, (20, 30, 4), dtype=np.uint8), "RGBA")
    modes = {name: base.convert(name) for name in ("1", "L", "P", "RGB", "RGBX", "RGBA", "LA", "CMYK", "YCbCr")}
    modes["HSV"] = base.convert("RGB").convert("HSV")
    modes["LAB"] = Image.frombytes("LAB", (30, 20), generator.bytes(1800))
    modes["PA"] = Image.frombytes("PA", (30, 20), generator.bytes(1200))
    modes["I"] = Image.fromarray(generator.integers(-100, 70000, (20, 30), dtype=np.int32))
    modes["F"] = Image.fromarray((generator.random((20, 30)) * 300).astype(np.float32))
    modes["I;16"] = Image.fromarray(generator.integers(0, 65536, (20, 30), dtype=np.uint16))
    palette = base.convert("P")
    palette.info["transparency"] = 5
    modes["P with transparency"] = palette
    keyed = base.convert("RGB")
    keyed.info["transparency"] = keyed.getpixel((3, 3))
    modes["RGB with transparency"] = keyed
    return list(modes.items())


@pytest.mark.parametrize(("name", "picture"), pictures())
def test_every_mode_equals_the_references_pixels(name: str, picture: Image.Image) -> None:
    from transformers.image_transforms import convert_to_rgb

    expected = np.asarray(convert_to_rgb(picture, return_numpy=True))
    assert np.array_equal(picture_to_rgb(picture.copy()), expected), name


@pytest.mark.parametrize("orientation", range(1, 9))
def test_rotated_pictures_equal_the_references_pixels(orientation: int) -> None:
    import io

    from transformers.image_utils import load_image as reference_load

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(Image.fromarray(noise("noise", 40, 60, 2).transpose(1, 2, 0)), "JPEG", exif=exif)
    expected = np.asarray(reference_load(Image.open(io.BytesIO(data))).convert("RGB"))
    assert np.array_equal(load_image(data), expected)
