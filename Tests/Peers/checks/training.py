"""Gradients and losses of LoRA training beside PyTorch with PEFT, from the same adapter and the same batches."""

import functools
import json

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from verdict import at_most
from workspace import TEXT, THREADS, graft, model, multiplies_bf16, reference, scratch, tokens, training_log

STEPS, BATCH, LENGTH, RATE = 20, 2, 128, 1e-3
DATA = TEXT / "gospels.txt"
# A run long enough for small differences to grow.
CURVE_STEPS, CURVE_BATCH = 200, 1


@functools.cache
def initial_adapter():
    """An adapter that PEFT saves; B isn't zero, so that A has a gradient from the first step on."""
    torch.manual_seed(7)
    base = AutoModelForCausalLM.from_pretrained(model("f32"), dtype=torch.float32)
    configuration = LoraConfig(r=8, lora_alpha=32, lora_dropout=0.0, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    peer = get_peft_model(base, configuration)
    with torch.no_grad():
        for name, parameter in peer.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.02)
    directory = scratch() / "initial-adapter"
    peer.save_pretrained(directory)
    return directory


def train(name, compute, steps, *options, batch_size=BATCH):
    directory = scratch() / name
    graft(
        "train", model(compute), "--data", DATA, "--out", directory, "--from", initial_adapter(), "--steps", steps, "--batch-size", batch_size,
        "--sequence-length", LENGTH, "--learning-rate", RATE, "--schedule", "cosine", "--no-shuffle", "--compute", compute,
        "--threads", THREADS, "--quiet", *options,
    )  # fmt: skip
    return directory


@functools.cache
def trained_adapter():
    """The adapter after Graft's f32 run."""
    return train("trained-f32", "f32", STEPS)


def token_file(count):
    path = scratch() / f"training-ids-{count}.json"
    path.write_text(json.dumps(tokens(DATA)[:count]))
    return path


@functools.cache
def peer_run(compute):
    """Losses of PEFT's run, and two files with the gradients of its first step: as they are, and with the loss taken in f64."""
    ids = token_file(STEPS * BATCH * LENGTH)
    gradients, careful = (scratch() / f"{kind}-{compute}.safetensors" for kind in ("gradients", "careful-gradients"))
    run = reference(
        "train.py", model=model(compute), adapter=initial_adapter(), ids=ids, dtype=compute, steps=STEPS, batch_size=BATCH,
        sequence_length=LENGTH, learning_rate=RATE, threads=THREADS, compiles=False, gradients=gradients,
        careful_gradients=careful if compute == "f32" else None,
    )  # fmt: skip
    return json.loads(run.output), gradients, careful


@functools.cache
def first_gradients(name="one-step", *options):
    """The gradients of one step, read out of the optimizer's state: without clipping, the first moment is (1 − 0.9) of them."""
    state = load_file(train(name, "f32", 1, "--clip-norm", 0, *options) / "training_state" / "state.safetensors")
    return {name.removesuffix(".exp_avg"): value / 0.1 for name, value in state.items() if name.endswith(".exp_avg")}


def distance(found, expected):
    """The relative difference of two gradients, each taken as one vector."""
    difference = sum((found[name] - value).square().sum() for name, value in expected.items())
    return (difference / sum(value.square().sum() for value in expected.values())).sqrt()


def curve_difference():
    """The largest relative difference between the f32 losses of Graft and of PyTorch over a long run."""
    directory = train("curve", "f32", CURVE_STEPS, batch_size=CURVE_BATCH)
    run = reference(
        "train.py", model=model("f32"), adapter=initial_adapter(), ids=token_file(CURVE_STEPS * CURVE_BATCH * LENGTH), dtype="f32",
        steps=CURVE_STEPS, batch_size=CURVE_BATCH, sequence_length=LENGTH, learning_rate=RATE, threads=THREADS, compiles=False,
    )  # fmt: skip
    found, expected = [record["loss"] for record in training_log(directory)], json.loads(run.output)["losses"]
    return max(abs(a / b - 1) for a, b in zip(found, expected, strict=True))


def checks():
    run, plain, careful = peer_run("f32")
    found = first_gradients()
    expected, plain = load_file(careful), load_file(plain)
    assert expected.keys() == plain.keys() == found.keys(), f"different tensors: {sorted(expected.keys() ^ found.keys())[:3]}"
    errors = [(found[name] - value).norm() / value.norm() for name, value in expected.items()]
    yield at_most(f"f32 gradients of {len(errors)} tensors at step 1, largest relative error, PyTorch's loss taken in f64", max(errors), 1e-4)
    # Without AVX-512, PyTorch's own f32 loss alone is off by more than the bound.
    label = f"f32 gradient as a whole at step 1, relative difference from PyTorch's with the loss in f64 (PyTorch's with its own: {distance(plain, expected):.2g})"
    yield at_most(label, distance(found, expected), 5e-5)

    losses = {"PyTorch f32": run["losses"]}
    for compute, adapter in (("f32", trained_adapter()), ("bf16", train("trained-bf16", "bf16", STEPS))):
        losses[f"Graft {compute}"] = [record["loss"] for record in training_log(adapter)]

    pairs = zip(losses["Graft f32"], losses["PyTorch f32"], strict=True)
    yield at_most(f"f32 losses over {STEPS} steps, largest difference from PyTorch", max(abs(a - b) for a, b in pairs), 1e-3)

    def strays(name):
        return [100 * abs(a / b - 1) for a, b in zip(losses[name], losses["PyTorch f32"], strict=True)]

    def stray(name):
        return (sum(percent**2 for percent in strays(name)) / STEPS) ** 0.5

    label = "bf16 losses, root mean square of relative differences from PyTorch f32"
    if multiplies_bf16():
        losses["PyTorch bf16"] = peer_run("bf16")[0]["losses"]
        label += f" (PyTorch bf16: {stray('PyTorch bf16'):.2g} %)"
    yield at_most(label, stray("Graft bf16"), 0.5, " %")
    # On single steps, such as the 18th here, either strays by a hundredth.
    yield at_most("the largest of them", max(strays("Graft bf16")), 1.5, " %")

    yield at_most(f"f32 losses over {CURVE_STEPS} steps, largest difference from PyTorch", 100 * curve_difference(), 1, " %")
