"""The forward pass beside transformers'."""

import json

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from verdict import at_most
from workspace import TEXT, benchmarks, model, scratch, tokens

TOKENS = 512


def graft_logits(directory, ids, adapter=None, compute="f32") -> torch.Tensor:
    """[tokens, vocabulary], f32."""
    path = scratch() / "ids.json"
    path.write_text(json.dumps(ids))
    output = scratch() / "logits"
    benchmarks("logits", directory, path, output, compute, *([adapter] if adapter else []))
    return load_file(output / "model.safetensors")["logits"]


@torch.inference_mode()
def peer_logits(peer, ids) -> torch.Tensor:
    return peer(input_ids=torch.tensor([ids])).logits[0].float()


def checks():
    ids = tokens(TEXT / "revelation.txt")[:TOKENS]
    theirs = peer_logits(AutoModelForCausalLM.from_pretrained(model("f32"), dtype=torch.float32), ids)
    ours = graft_logits(model("f32"), ids)
    yield at_most(f"f32 logits of {TOKENS} tokens, largest difference from transformers", (ours - theirs).abs().max(), 1e-3)

    # Two bf16 computations differ by rounding; neither may be further from f32 than the other by much.
    halved = peer_logits(AutoModelForCausalLM.from_pretrained(model("bf16"), dtype=torch.bfloat16), ids)
    ours = graft_logits(model("bf16"), ids, compute="bf16")
    ratio = (ours - theirs).norm() / (halved - theirs).norm()
    yield at_most("bf16 logits, distance from f32", ratio, 1.1, " times that of transformers in bf16")
