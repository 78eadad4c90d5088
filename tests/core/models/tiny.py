"""A two-layer Llama with random weights, a byte-level tokenizer and a LoRA adapter, in both formats."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from core.models.offline import stay_offline

LAYERS, HIDDEN, INNER, HEADS, KV_HEADS, CONTEXT, RANK, ALPHA = 2, 64, 128, 4, 2, 512, 4, 64.0
SPECIAL = ("<|im_start|>", "<|im_end|>")
MERGES = (("h", "e"), ("l", "l"), ("he", "ll"))
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

Tensor = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiny:
    """Where the model and its adapter lie: for torch as folders, for llama.cpp as GGUF files."""

    folder: Path
    gguf: Path
    peft: Path
    lora: Path


def make_tiny(folder: Path) -> Tiny:
    stay_offline()
    made = Tiny(
        folder=folder / "tiny", gguf=folder / "tiny.gguf", peft=folder / "peft", lora=folder / "lora.gguf"
    )
    vocabulary = _save_tokenizer(made.folder)
    tensors = _save_model(made.folder, len(vocabulary))
    _write_gguf(made.gguf, tensors, vocabulary)
    _save_adapter(made)
    return made


def _save_tokenizer(folder: Path) -> list[str]:
    import tokenizers  # noqa: PLC0415 -- after stay_offline
    import transformers  # noqa: PLC0415 -- as above

    library = cast("Any", tokenizers)
    letters: list[str] = sorted(library.pre_tokenizers.ByteLevel.alphabet())
    tokens = [*SPECIAL, *letters, *("".join(pair) for pair in MERGES)]
    ids = {token: index for index, token in enumerate(tokens)}
    backend = library.Tokenizer(library.models.BPE(vocab=ids, merges=list(MERGES)))
    backend.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = library.decoders.ByteLevel()
    fast = cast("Any", transformers).PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=SPECIAL[1],
        pad_token=SPECIAL[1],
        additional_special_tokens=[SPECIAL[0]],
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(str(folder))
    return tokens


def _save_model(folder: Path, vocabulary: int) -> dict[str, Tensor]:
    import torch  # noqa: PLC0415 -- after stay_offline
    import transformers  # noqa: PLC0415 -- as above

    config = cast("Any", transformers).LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        max_position_embeddings=CONTEXT,
        initializer_range=0.2,  # spread logits, so that two backends agree on the greatest
        tie_word_embeddings=False,
        eos_token_id=1,
        pad_token_id=1,
        bos_token_id=None,
    )
    chance = cast("Any", torch)
    with chance.random.fork_rng():
        chance.manual_seed(7)
        model = cast("Any", transformers).LlamaForCausalLM(config)
    model.save_pretrained(str(folder))
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def _write_gguf(file: Path, tensors: dict[str, Tensor], vocabulary: list[str]) -> None:
    import gguf  # noqa: PLC0415 -- wanted only where a tiny model is made

    writer: Any = cast("Any", gguf).GGUFWriter(str(file), "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocabulary)
    writer.add_token_types([3 if token in SPECIAL else 1 for token in vocabulary])
    writer.add_token_merges([" ".join(pair) for pair in MERGES])
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(1)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    writer.add_tensor("token_embd.weight", tensors["model.embed_tokens.weight"])
    writer.add_tensor("output_norm.weight", tensors["model.norm.weight"])
    writer.add_tensor("output.weight", tensors["lm_head.weight"])
    for layer in range(LAYERS):
        for theirs, ours in NAMES.items():
            tensor = tensors[f"model.layers.{layer}.{theirs}.weight"]
            writer.add_tensor(f"blk.{layer}.{ours}.weight", _rotated(tensor, ours))
    _finish(writer)


def _rotated(tensor: Tensor, name: str) -> Tensor:
    """llama.cpp pairs neighbouring rows for its rotary embedding, transformers the two halves."""
    heads = {"attn_q": HEADS, "attn_k": KV_HEADS}.get(name)
    if heads is None:
        return tensor
    halves = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, tensor.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(tensor.shape))


def _save_adapter(made: Tiny) -> None:
    import gguf  # noqa: PLC0415 -- as above
    import safetensors.numpy  # noqa: PLC0415 -- as above

    chance = np.random.default_rng(3)
    writer: Any = cast("Any", gguf).GGUFWriter(str(made.lora), "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", ALPHA)
    kept: dict[str, Tensor] = {}
    for layer in range(LAYERS):
        down = chance.normal(size=(RANK, INNER)).astype(np.float32)
        up = chance.normal(size=(HIDDEN, RANK)).astype(np.float32)
        writer.add_tensor(f"blk.{layer}.ffn_down.weight.lora_a", down)
        writer.add_tensor(f"blk.{layer}.ffn_down.weight.lora_b", up)
        theirs = f"base_model.model.model.layers.{layer}.mlp.down_proj"
        kept |= {f"{theirs}.lora_A.weight": down, f"{theirs}.lora_B.weight": up}
    _finish(writer)
    made.peft.mkdir()
    cast("Any", safetensors.numpy).save_file(kept, str(made.peft / "adapter_model.safetensors"))
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": ALPHA,
        "target_modules": ["down_proj"],
        "lora_dropout": 0.0,
        "bias": "none",
        "base_model_name_or_path": str(made.folder),
        "inference_mode": True,
    }
    (made.peft / "adapter_config.json").write_text(json.dumps(config))


def _finish(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
