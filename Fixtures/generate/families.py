"""Tiny random models of each family member, saved by transformers, with the logits transformers computes for them.

`golden/families/NAME/` is a model directory; its `golden.safetensors` holds
    input_ids  [2, 48] I32
    logits     [2, 48, 64] F32    computed in f32 with eager attention (bf16 weights are widened first)
and for the decoders with windows or learned positions (WITH_GREEDY)
    greedy     [32] I32           what greedy decoding appends to the first 16 tokens of the first sequence
"""

import json
import shutil

import torch
from transformers import AutoModelForCausalLM, Gemma3TextConfig, GPT2Config, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

from golden import GOLDEN, VOCABULARY, random_tokens, randomize, save

LARGE = dict(hidden_size=32, intermediate_size=64, num_attention_heads=4, num_key_value_heads=2)
SMALL = dict(hidden_size=32, intermediate_size=48, num_attention_heads=4, num_key_value_heads=2)
COMMON = dict(
    vocab_size=VOCABULARY, num_hidden_layers=2, max_position_embeddings=128, bos_token_id=0, eos_token_id=1, pad_token_id=None
)
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.5}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}

MEMBERS = {
    "llama-tied": LlamaConfig(**COMMON, **LARGE, tie_word_embeddings=True),
    "llama-bf16": LlamaConfig(**COMMON, **LARGE, tie_word_embeddings=True),
    "llama-untied-linear-rope": LlamaConfig(**COMMON, **SMALL, rms_norm_eps=1e-5, rope_parameters=LINEAR),
    "llama-llama3-rope": LlamaConfig(**COMMON, **SMALL, tie_word_embeddings=True, rope_parameters=LLAMA3),
    "llama-head-dim": LlamaConfig(
        **COMMON, **SMALL, head_dim=12, attention_bias=True, mlp_bias=True, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0},
    ),
    "mistral": MistralConfig(**COMMON, **SMALL, sliding_window=None),
    "qwen2": Qwen2Config(**COMMON, **SMALL, tie_word_embeddings=True),
    "qwen3": Qwen3Config(**COMMON, **LARGE, head_dim=16, tie_word_embeddings=True),
    "mistral-window": MistralConfig(**COMMON, **SMALL, sliding_window=11),
    "qwen2-window": Qwen2Config(
        **COMMON, **SMALL, tie_word_embeddings=True, use_sliding_window=True, sliding_window=7, max_window_layers=1
    ),
    "gemma3": Gemma3TextConfig(
        **COMMON | {"num_hidden_layers": 3}, **SMALL, head_dim=12, query_pre_attn_scalar=10, sliding_window=9,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
        rope_parameters={
            "full_attention": {"rope_type": "linear", "rope_theta": 20000.0, "factor": 2.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 500.0},
        },
    ),
    "gpt2": GPT2Config(
        vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=0, eos_token_id=1,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    ),
}

WITH_GREEDY = ["mistral-window", "qwen2-window", "gemma3", "gpt2"]

# Spelled as before transformers 5: `rope_theta` and `rope_scaling` at the top instead of `rope_parameters`.
OLD_SPELLING = {"llama-untied-linear-rope": {"rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 2.5}}}


def spell_as_before(directory, keys: dict) -> None:
    path = directory / "config.json"
    config = json.loads(path.read_text())
    del config["rope_parameters"]
    config["torch_dtype"] = config.pop("dtype")
    path.write_text(json.dumps(dict(sorted((config | keys).items())), indent=2) + "\n")


def main() -> None:
    for seed, (name, config) in enumerate(MEMBERS.items(), start=100):
        directory = GOLDEN / "families" / name
        shutil.rmtree(directory, ignore_errors=True)
        config._attn_implementation = "eager"
        model = AutoModelForCausalLM.from_config(config).eval()
        randomize(model, seed)
        if name == "llama-bf16":
            model.to(torch.bfloat16)
        model.save_pretrained(directory)
        if name in OLD_SPELLING:
            spell_as_before(directory, OLD_SPELLING[name])

        saved = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
        ids = random_tokens(seed, 2, 48)
        with torch.no_grad():
            logits = saved(ids).logits
            attentions = saved(ids, output_attentions=True).attentions
        if name != "llama-bf16":
            assert torch.equal(logits, model(ids).logits), "the saved model is not the one that was made"
        tensors = {"input_ids": ids, "logits": logits}
        if name in WITH_GREEDY:
            # No token ends the text, so that there are always 32.
            output = saved.generate(ids[:1, :16], max_new_tokens=32, do_sample=False, eos_token_id=None, pad_token_id=0)
            tensors["greedy"] = output[0, 16:]
        save(directory / "golden.safetensors", tensors)
        peak = torch.stack(attentions)[..., -1, :].amax(-1).mean()
        print(f"{name:26} logits: deviation {logits.std():.3f}, largest {logits.abs().max():.2f}; last token's mean top attention {peak:.2f}")


if __name__ == "__main__":
    main()
