"""Bundle a checkpoint's tokenizer, template and settings: the one object that builds its prompts.

In: a model folder and its configuration, or the parts themselves (from GGUF metadata). Out: `Prompt`s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import partial
from pathlib import Path
from typing import Any

from edge.config import ModelConfig
from edge.errors import ConfigError
from edge.prompt.build import PADS, VISION_END, VISION_START, Prompt, PromptOptions, build_prompt, build_raw_prompt
from edge.prompt.media.cache import MediaCache
from edge.prompt.media.prepare import Media, prepare_media
from edge.prompt.media.source import names_file
from edge.prompt.text.bound import check_bound
from edge.prompt.text.template import ChatTemplate, find_template
from edge.prompt.text.tokenizer import Tokenizer
from edge.prompt.types import MediaItem
from edge.records import dataclass
from edge.settings import (
    GenerationSettings,
    ImageSettings,
    VideoSettings,
    read_generation_settings,
    read_image_settings,
    read_video_settings,
)


@dataclass(frozen=True, slots=True)
class Processor:
    """Everything beside the weights that a checkpoint says about its prompts; safe on any thread."""

    config: ModelConfig
    tokenizer: Tokenizer
    template: ChatTemplate
    images: ImageSettings = field(default_factory=ImageSettings)
    videos: VideoSettings = field(default_factory=VideoSettings)
    generation: GenerationSettings = field(default_factory=GenerationSettings)
    media_cache: MediaCache = field(default_factory=MediaCache, compare=False)

    def __post_init__(self) -> None:
        """Check that the parts belong together.

        Raises:
            ConfigError: A token has another id than the model expects, or the patch sizes differ.
        """
        config, vision = self.config, self.config.vision
        expected = {
            PADS["image"]: config.image_token_id,
            PADS["video"]: config.video_token_id,
            VISION_START: config.vision_start_token_id,
            VISION_END: config.vision_end_token_id,
        }
        for token, token_id in expected.items():
            found = self.tokenizer.special_ids.get(token)
            if found != token_id:
                raise ConfigError(
                    f"The model expects {token} as token {token_id}, the tokenizer has {found}. "
                    "Take tokenizer and config from the same checkpoint."
                )
        sizes = (vision.patch_size, vision.temporal_patch_size, vision.spatial_merge_size)
        for name, settings in (("picture", self.images), ("video", self.videos)):
            if (settings.patch_size, settings.temporal_patch_size, settings.merge_size) != sizes:
                raise ConfigError(
                    f"The {name} settings have other patch, temporal patch or merge sizes than the model's {sizes}. "
                    "Take processor files and config from the same checkpoint."
                )

    @classmethod
    def from_folder(cls, folder: Path, config: ModelConfig) -> Processor:
        """Read a model folder.

        Raises:
            ConfigError: A file is missing or cannot be used.
            PromptError: The chat template is missing or refused.
        """
        return cls(
            config=config,
            images=read_image_settings(folder),
            videos=read_video_settings(folder),
            generation=read_generation_settings(folder),
            template=find_template(folder),
            tokenizer=Tokenizer.from_folder(folder),
        )

    def build(
        self,
        messages: Sequence[Mapping[str, Any]],  # Any: JSON, checked in edge.prompt.text.messages
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,  # Any: as above
        options: PromptOptions | None = None,
    ) -> Prompt:
        """Build a prompt; see `edge.prompt.build.build_prompt`.

        Raises:
            PromptError: Messages, tools or options cannot be made into a prompt.
            MediaError: A picture or video cannot be used.
        """
        options = options or PromptOptions()
        return build_prompt(
            messages,
            tools=tools,
            tokenizer=self.tokenizer,
            template=self.template,
            prepare=partial(self._prepare, allow_files=options.allow_files, max_tokens=self._most_tokens(options)),
            config=self.config,
            options=options,
        )

    def build_raw(self, text: str, *, max_tokens: int | None = None) -> Prompt:
        """Make a prompt of text as it is, around the template; special tokens in it count as such.

        Args:
            text: The whole prompt.
            max_tokens: Refuse a text that must become more tokens, before it is cut into them.

        Raises:
            PromptError: It is empty, far too long, or has the placeholder of a picture, for which there is none.
        """
        if max_tokens is not None:
            check_bound([{"role": "user", "content": text}], self.tokenizer, max_tokens)
        return build_raw_prompt(text, tokenizer=self.tokenizer, config=self.config)

    def _most_tokens(self, options: PromptOptions) -> int:
        """Most visual tokens that any prompt of this model and these options can hold."""
        limits = (options.max_visual_tokens, options.max_prompt_tokens, self.config.text.max_position_embeddings)
        return min(limit for limit in limits if limit is not None)

    def _prepare(self, item: MediaItem, *, allow_files: bool, max_tokens: int) -> Media:
        prepare = partial(
            prepare_media, images=self.images, videos=self.videos, allow_files=allow_files, max_tokens=max_tokens
        )
        # A request that may not name files may not ask for kept ones either.
        return self.media_cache.get(item, prepare) if allow_files or not names_file(item.source) else prepare(item)
