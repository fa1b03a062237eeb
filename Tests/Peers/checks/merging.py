"""Merged weights beside PEFT's and beside f64, and what merging costs."""

import json

import numpy
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from verdict import all_equal, at_most
from workspace import THREADS, graft, model, reference, scratch

ROUNDS = 3


def random_adapter():
    """Rank 16 on every linear layer: more work, and harder numbers, than a short training gives."""
    torch.manual_seed(11)
    base = AutoModelForCausalLM.from_pretrained(model("f32"), dtype=torch.float32)
    peer = get_peft_model(base, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, parameter in peer.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.01)
    directory = scratch() / "random-adapter"
    peer.save_pretrained(directory)
    return directory


def ulps(a: numpy.ndarray, b: numpy.ndarray, scale: numpy.ndarray) -> numpy.ndarray:
    """|a − b| in units in the last place of `scale`, all f32."""
    return numpy.abs(a.astype(numpy.float64) - b) / numpy.spacing(numpy.maximum(scale, numpy.finfo(numpy.float32).tiny))


def checks():
    adapter = random_adapter()
    ours = {dtype: scratch() / f"merged-{dtype}" for dtype in ("f32", "bf16")}
    runs = {dtype: [] for dtype in ours}
    peer_runs = []
    for _ in range(ROUNDS):
        for dtype, output in ours.items():
            runs[dtype].append(graft("merge", model(dtype), adapter, "--out", output, "--threads", THREADS, "--quiet"))
        peer_runs.append(reference("merge.py", model=model("f32"), adapter=adapter, output=scratch() / "peft-merged", dtype="f32", threads=THREADS))
    bf16_peer = reference("merge.py", model=model("bf16"), adapter=adapter, output=scratch() / "peft-merged-bf16", dtype="bf16", threads=THREADS)

    yield from f32(load_file(ours["f32"] / "model.safetensors"), adapter)
    yield from bf16(load_file(ours["bf16"] / "model.safetensors"), adapter)
    fastest = {dtype: min(run.seconds for run in each) for dtype, each in runs.items()}
    peer = min(run.seconds for run in peer_runs)
    yield at_most(f"time of an f32 merge, {fastest['f32']:.2f} s beside PEFT's {peer:.2f} s", fastest["f32"] / peer, 0.25, " times PEFT's")
    yield at_most(f"time of a bf16 merge, {fastest['bf16']:.2f} s beside PEFT's {bf16_peer.seconds:.2f} s", fastest["bf16"] / bf16_peer.seconds, 0.25, " times PEFT's")
    for dtype, each in runs.items():
        yield at_most(f"memory of the {dtype} merge", max(run.peak_bytes for run in each) / 2**20, 128, " MiB")


def f32(merged, adapter):
    """The unit is that of the greater of base and result: where the two nearly cancel, either's rounding is in proportion to the base."""
    theirs = load_file(scratch() / "peft-merged" / "model.safetensors")
    base = load_file(model("f32") / "model.safetensors")
    largest = 0.0
    for name, value in theirs.items():
        a, b, before = (x.numpy() for x in (merged[name], value, base[name]))
        largest = max(largest, ulps(a, b, numpy.maximum(numpy.abs(before), numpy.abs(b))).max())
    yield all_equal("names of the merged tensors", sorted(theirs.keys() ^ merged.keys()), len(theirs))
    yield at_most("f32 merge, largest difference from PEFT", largest, 2, " units in the last place")


def bf16(merged, adapter):
    factors = load_file(adapter / "adapter_model.safetensors")
    configuration = json.loads((adapter / "adapter_config.json").read_text())
    scaling = configuration["lora_alpha"] / configuration["r"]
    base = load_file(model("bf16") / "model.safetensors")
    touched = other = far = 0
    changed = []
    for name, value in base.items():
        stem = "base_model.model." + name.removesuffix(".weight")
        if f"{stem}.lora_A.weight" not in factors:
            if not torch.equal(merged[name], value):
                changed.append(name)
            continue
        a, b = (factors[f"{stem}.lora_{letter}.weight"].double().numpy() for letter in "AB")
        expected = rounded_to_bf16(value.double().numpy() + scaling * (b @ a))
        steps = (ordered(merged[name]) - ordered(expected)).abs()
        touched += steps.numel()
        other += int((steps > 0).sum())
        far += int((steps > 1).sum())
    yield all_equal("tensors that the adapter doesn't touch keep their bits", changed, len(base))
    yield at_most("bf16 merge, values that aren't the f64 result rounded once", 100 * other / touched, 0.1, " %")
    # Where base and update, or the products that make up the update, cancel to almost nothing, f32 arithmetic shows in the few bits left.
    yield at_most(f"bf16 merge, values more than one unit off ({far})", 1e6 * far / touched, 0.1, " in a million")


def rounded_to_bf16(values: numpy.ndarray) -> torch.Tensor:
    """f64 to bf16 in one rounding, ties to even; what torch does goes by way of f32, which rounds twice."""
    bits = values.view(numpy.uint64)
    last = bits >> numpy.uint64(45) & numpy.uint64(1)
    kept = (bits + numpy.uint64((1 << 44) - 1) + last) >> numpy.uint64(45) << numpy.uint64(45)
    return torch.from_numpy(kept.view(numpy.float64)).to(torch.bfloat16)


def ordered(values: torch.Tensor) -> torch.Tensor:
    """bf16 bits as integers in the order of the values, so that neighbours differ by one."""
    bits = values.contiguous().view(torch.int16).to(torch.int32)
    return torch.where(bits < 0, -(bits & 0x7FFF), bits)
