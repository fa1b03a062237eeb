"""Merged weights to compare with.

`golden/merge/llama-tied/merged.safetensors`  the touched weights after PEFT's `merge_and_unload` of `golden/lora/llama-tied`, f32
`golden/merge/gpt2/merged.safetensors`        the same of `golden/lora/gpt2`, whose base stores its matrices transposed, f32
`golden/merge/llama-bf16/merged.safetensors`  the same adapter on the bf16 base: W + s B A in f64, rounded once to bf16, ties to even
"""

import json

import numpy
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from golden import GOLDEN, save

ADAPTER = GOLDEN / "lora" / "llama-tied"


def merged_by_peft(name: str) -> None:
    adapter = GOLDEN / "lora" / name
    base = AutoModelForCausalLM.from_pretrained(GOLDEN / "families" / name, dtype=torch.float32)
    merged = PeftModel.from_pretrained(base, adapter).merge_and_unload().state_dict()
    touched = touched_weights(load_file(adapter / "adapter_model.safetensors"))
    save(GOLDEN / "merge" / name / "merged.safetensors", {weight: merged[weight] for weight in touched})


def rounded_to_bf16(values: numpy.ndarray) -> torch.Tensor:
    """f64 to bf16 in one rounding to nearest, ties to even; bf16 keeps 7 of the 52 bits of the fraction."""
    assert numpy.all((values == 0) | (numpy.abs(values) >= 2.0**-126)), "subnormal numbers are not handled"
    bits = values.astype(numpy.float64).view(numpy.uint64)
    last = (bits >> numpy.uint64(45)) & numpy.uint64(1)
    kept = (bits + numpy.uint64((1 << 44) - 1) + last) >> numpy.uint64(45) << numpy.uint64(45)
    return torch.from_numpy(kept.view(numpy.float64)).to(torch.bfloat16)


def touched_weights(adapter: dict[str, torch.Tensor]) -> dict[str, str]:
    """The base's names of the weights an adapter changes, each with the stem of its factors' names."""
    stems = sorted({name.rsplit(".lora_", 1)[0] for name in adapter})
    return {stem.removeprefix("base_model.model.") + ".weight": stem for stem in stems}


def main() -> None:
    adapter = load_file(ADAPTER / "adapter_model.safetensors")
    names = touched_weights(adapter)
    merged_by_peft("llama-tied")
    merged_by_peft("gpt2")

    config = json.loads((ADAPTER / "adapter_config.json").read_text())
    scaling = config["lora_alpha"] / config["r"]
    weights = load_file(GOLDEN / "families" / "llama-bf16" / "model.safetensors")
    reference = {}
    for name, stem in names.items():
        a, b = (adapter[f"{stem}.lora_{letter}.weight"].numpy().astype(numpy.float64) for letter in "AB")
        reference[name] = rounded_to_bf16(weights[name].to(torch.float64).numpy() + scaling * (b @ a))
        unchanged = (reference[name] == weights[name]).float().mean()
        print(f"{name}: {unchanged:.1%} of the values unchanged")
    save(GOLDEN / "merge" / "llama-bf16" / "merged.safetensors", reference)


if __name__ == "__main__":
    main()
