"""Write a training state as a checkpoint folder in the hub's layout: `python -m examples.demo_model.export STATE OUT`.

In: state.pt and the tokenizer files of a training folder, and the real tokenizer_config.json's chat template. Out: bf16
safetensors under the hub's names, config.json in the hub's spelling, the processor, tokenizer and generation files.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any  # JSON

import torch
from safetensors.torch import save_file

from . import model
from .scenes import SIZE_PX
from .tokenizer import ADDED, BASE_TOKENS, NUM_SPECIAL

IDS = {text: BASE_TOKENS + index for index, text in enumerate(ADDED)}
END, STOP = IDS["<|endoftext|>"], IDS["<|im_end|>"]
TEMPLATE = Path(__file__).parent / "chat_template.jinja"


def config() -> dict[str, Any]:
    """Return config.json, spelled as the hub's Qwen3-VL-30B-A3B-Thinking."""
    return {
        "architectures": ["Qwen3VLMoeForConditionalGeneration"],
        "image_token_id": IDS["<|image_pad|>"],
        "model_type": "qwen3_vl_moe",
        "text_config": _text_config(),
        "tie_word_embeddings": False,
        "transformers_version": "4.57.0.dev0",
        "video_token_id": IDS["<|video_pad|>"],
        "vision_config": {
            "deepstack_visual_indexes": list(model.DEEPSTACK),
            "depth": model.V_DEPTH,
            "hidden_act": "gelu_pytorch_tanh",
            "hidden_size": model.V_HIDDEN,
            "in_channels": 3,
            "initializer_range": 0.02,
            "intermediate_size": model.V_INTER,
            "model_type": "qwen3_vl_moe",
            "num_heads": model.V_HEADS,
            "num_position_embeddings": model.V_GRID**2,
            "out_hidden_size": model.HIDDEN,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
        "vision_end_token_id": IDS["<|vision_end|>"],
        "vision_start_token_id": IDS["<|vision_start|>"],
    }


def _text_config() -> dict[str, Any]:
    return {
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": END,
        "decoder_sparse_step": 1,
        "dtype": "bfloat16",
        "eos_token_id": STOP,
        "head_dim": model.HEAD_DIM,
        "hidden_act": "silu",
        "hidden_size": model.HIDDEN,
        "initializer_range": 0.02,
        "intermediate_size": 768,
        "max_position_embeddings": 8192,
        "mlp_only_layers": [],
        "model_type": "qwen3_vl_moe_text",
        "moe_intermediate_size": model.EXPERT_DIM,
        "norm_topk_prob": True,
        "num_attention_heads": model.HEADS,
        "num_experts": model.EXPERTS,
        "num_experts_per_tok": model.ACTIVE,
        "num_hidden_layers": model.LAYERS,
        "num_key_value_heads": model.KV_HEADS,
        "rms_norm_eps": model.EPS,
        "rope_scaling": {
            "mrope_interleaved": True,
            "mrope_section": list(model.MROPE),
            "rope_type": "default",
        },
        "rope_theta": int(model.THETA),
        "use_cache": True,
        "vocab_size": model.VOCAB,
    }


def preprocessor(kind: str) -> dict[str, Any]:
    """Return preprocessor_config.json (`image`) or video_preprocessor_config.json (`video`); sizes are pixel counts."""
    pixels = SIZE_PX**2
    size = {"longest_edge": pixels, "shortest_edge": pixels}
    names = {"image_processor_type": "Qwen2VLImageProcessorFast"}
    if kind == "video":
        size = {"longest_edge": 12 * pixels, "shortest_edge": 4 * pixels}
        names = {"video_processor_type": "Qwen3VLVideoProcessor"}
    return {
        "size": size,
        "patch_size": 16,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "processor_class": "Qwen3VLProcessor",
        **names,
    }


def tokenizer_config(template: str) -> dict[str, Any]:
    """Return tokenizer_config.json with the 26 added tokens under this vocabulary's ids."""
    return {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(IDS[text]): {
                "content": text,
                "lstrip": False,
                "normalized": False,
                "rstrip": False,
                "single_word": False,
                "special": index < NUM_SPECIAL,
            }
            for index, text in enumerate(ADDED)
        },
        "additional_special_tokens": list(ADDED[1:NUM_SPECIAL]),
        "bos_token": None,
        "chat_template": template,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 8192,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }


def generation_config() -> dict[str, Any]:
    """Return generation_config.json: greedy, for the answers are short and have one right form."""
    return {
        "bos_token_id": END,
        "pad_token_id": END,
        "do_sample": False,
        "eos_token_id": [STOP, END],
        "transformers_version": "4.56.0",
    }


def export(state: Path, out: Path, *, averaged: bool = True) -> None:
    """Write the folder `out` from the training folder `state`.

    Args:
        state: Folder with state.pt, tokenizer.json, vocab.json and merges.txt.
        out: Checkpoint folder; other files in it are left alone.
        averaged: Take the moving average of the weights.
    """
    out.mkdir(parents=True, exist_ok=True)
    saved = torch.load(state / "state.pt", weights_only=True)
    net = model.DemoModel()
    net.load_state_dict(saved["average"] if averaged else _plain(saved["model"]))
    tensors = {name: value.to(torch.bfloat16).contiguous() for name, value in net.state_dict().items()}
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    (out / "model.safetensors").chmod(0o644)  # save_file leaves it unreadable to others
    total = sum(value.numel() * value.element_size() for value in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict.fromkeys(sorted(tensors), "model.safetensors")}
    template = TEMPLATE.read_text(encoding="utf-8")
    files = {
        "model.safetensors.index.json": index,
        "config.json": config(),
        "preprocessor_config.json": preprocessor("image"),
        "video_preprocessor_config.json": preprocessor("video"),
        "tokenizer_config.json": tokenizer_config(template),
        "chat_template.json": {"chat_template": template},
        "generation_config.json": generation_config(),
    }
    for name, content in files.items():
        (out / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "chat_template.jinja").write_text(template, encoding="utf-8")
    for name in ("tokenizer.json", "vocab.json", "merges.txt"):
        shutil.copyfile(state / name, out / name)


def _plain(trainer: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix("net."): value for name, value in trainer.items() if name.startswith("net.")}


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("state", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--last", action="store_true", help="the last weights, not their average")
    args = parser.parse_args()
    export(args.state, args.out, averaged=not args.last)


if __name__ == "__main__":
    main()
