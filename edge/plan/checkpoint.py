"""Find out what a name on the command line weighs: files of this computer by their headers, published models by sizes.

No weight is read: a folder's and a GGUF file's headers say how many bytes there are.
"""

from __future__ import annotations

from pathlib import Path

from edge.config import ModelConfig
from edge.errors import UsageError
from edge.plan.family import FAMILY, find_published
from edge.plan.recipes import RECIPES
from edge.plan.weights import recipe_bytes
from edge.records import dataclass
from edge.settings import ImageSettings


@dataclass(frozen=True, slots=True)
class Variant:
    """One form of a model: its recipe, or "as it is" for files, and the bytes of its weights in memory."""

    name: str
    weight_bytes: int


@dataclass(frozen=True, slots=True)
class Planned:
    """A model to plan: what it is called, its sizes, the forms there are, and its limits for pictures if files say."""

    name: str
    config: ModelConfig
    variants: tuple[Variant, ...]
    images: ImageSettings | None = None


def find_model(name: str, *, itemsize: int, recipe: str | None = None) -> Planned:
    """Look a model up.

    Args:
        name: A folder, a GGUF file, a hub id or a short name; `demo` is the embedded checkpoint.
        itemsize: Bytes of a float where it will run.
        recipe: Take only this one of a published model's.

    Raises:
        UsageError: It is neither there nor a published model, or there is no such recipe.
        ConfigError: Its configuration cannot be used.
        WeightError: Its files are broken.
    """
    if recipe is not None and recipe not in RECIPES:
        raise UsageError(f"--recipe {recipe}: expected one of {', '.join(RECIPES)}.")
    path = Path(name).expanduser()
    if name != "demo" and not path.exists():
        found = find_published(name)
        if found is None:
            raise UsageError(
                f"{name}: no such folder or file, and no published model. Published are {', '.join(FAMILY)}."
            )
        size, config = found
        names = [recipe] if recipe else list(RECIPES)
        return Planned(f"Qwen3-VL-{size}", config, tuple(Variant(one, recipe_bytes(config, one)) for one in names))
    config, weight_bytes, images = _read_files(name, path, itemsize)
    variants = [Variant("as it is", weight_bytes)]
    if recipe is not None:
        variants = [Variant(recipe, recipe_bytes(config, recipe))]
    return Planned(name, config, tuple(variants), images)


def _read_files(name: str, path: Path, itemsize: int) -> tuple[ModelConfig, int, ImageSettings]:
    """Read the headers of a folder or GGUF pair."""
    import mlx.core as mx

    from edge.checkpoint import door
    from edge.loading import demo_folder

    # float32, which every machine computes in: what is planned here may run elsewhere.
    checkpoint = door.open(demo_folder() if name == "demo" else path, dtype=mx.float32)
    return checkpoint.config, checkpoint.weight_bytes(itemsize=itemsize), checkpoint.read_processor().images
