"""Other shapes of training: many adapters, one long sequence, every weight, a model of a billion parameters."""

import json
import shutil

import torch
from safetensors.torch import save_file

from measurements.training import HEADER, Workload, graft_speed, peer_speed
from workspace import MODELS, model, multiplies_bf16

# Of which the first two don't count: steps take up to minutes here.
STEPS = 4
BILLION = MODELS / "llama-1b-random"


def billion():
    """A model directory in the shape of Llama 3.2 1B with random weights, and SmolLM2's tokenizer."""
    if (BILLION / "model.safetensors").exists():
        return BILLION
    hidden, layers, intermediate, heads, groups, width, vocabulary = 2048, 16, 8192, 32, 8, 64, 128256
    generator = torch.Generator().manual_seed(0)

    def matrix(*shape):
        return (torch.randn(shape, generator=generator) * 0.02).to(torch.bfloat16)

    tensors = {"model.embed_tokens.weight": matrix(vocabulary, hidden), "model.norm.weight": torch.ones(hidden, dtype=torch.bfloat16)}
    for layer in range(layers):
        path = f"model.layers.{layer}"
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{path}.{name}.weight"] = torch.ones(hidden, dtype=torch.bfloat16)
        for name, rows, columns in (
            ("self_attn.q_proj", heads * width, hidden), ("self_attn.k_proj", groups * width, hidden), ("self_attn.v_proj", groups * width, hidden),
            ("self_attn.o_proj", hidden, heads * width), ("mlp.gate_proj", intermediate, hidden), ("mlp.up_proj", intermediate, hidden),
            ("mlp.down_proj", hidden, intermediate),
        ):  # fmt: skip
            tensors[f"{path}.{name}.weight"] = matrix(rows, columns)
    BILLION.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(model("bf16") / name, BILLION)
    configuration = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16", "hidden_size": hidden, "num_hidden_layers": layers,
        "intermediate_size": intermediate, "num_attention_heads": heads, "num_key_value_heads": groups, "head_dim": width,
        "vocab_size": vocabulary, "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "hidden_act": "silu", "tie_word_embeddings": True,
        "max_position_embeddings": 131072, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    (BILLION / "config.json").write_text(json.dumps(configuration, indent=2))
    save_file(tensors, BILLION / "model.safetensors", metadata={"format": "pt"})
    return BILLION


def lines():
    dtype = "bf16" if multiplies_bf16() else "f32"
    everywhere = Workload(rank=16, targets="all-linear")
    long, longer = Workload(batch=1, length=4096), Workload(batch=1, length=8192)
    whole = Workload(full=True)
    wide = Workload(batch=1, length=2048)
    rows = {
        "Graft, bf16, r = 16 on all linear layers, 4 × 512": lambda: graft_speed(everywhere, "bf16", steps=STEPS),
        "Graft, f32, the same": lambda: graft_speed(everywhere, "f32", steps=STEPS),
        f"PyTorch + PEFT, {dtype}, eager, the same": lambda: peer_speed(everywhere, dtype, steps=STEPS),
        f"PyTorch + PEFT, {dtype}, torch.compile, the same": lambda: peer_speed(everywhere, dtype, compiles=True, steps=STEPS),
        "Graft, bf16, 1 × 4096": lambda: graft_speed(long, "bf16", steps=STEPS),
        "Graft, bf16, 1 × 8192": lambda: graft_speed(longer, "bf16", steps=STEPS),
        f"PyTorch + PEFT, {dtype}, eager, 1 × 8192": lambda: peer_speed(longer, dtype, steps=STEPS),
        "Graft, bf16, full fine-tuning, 4 × 512": lambda: graft_speed(whole, "bf16", steps=STEPS),
        "Graft, bf16, full fine-tuning, `--recompute auto`": lambda: graft_speed(whole, "bf16", "--recompute", "auto", steps=STEPS),
        "Graft, f32, full fine-tuning": lambda: graft_speed(whole, "f32", steps=STEPS),
        "PyTorch, f32, eager, full fine-tuning": lambda: peer_speed(whole, "f32", steps=STEPS),
        "Graft, bf16, 1B-parameter Llama shape, 1 × 2048": lambda: graft_speed(wide, "bf16", directory=billion(), steps=STEPS),
        "Graft, bf16, the same, `--recompute auto`": lambda: graft_speed(wide, "bf16", "--recompute", "auto", directory=billion(), steps=STEPS),
    }
    yield "### Training: other shapes"
    yield ""
    yield from HEADER
    for name, measure in rows.items():
        yield f"| {name} | {measure()} |"
