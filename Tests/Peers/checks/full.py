"""A model's own tensors: full fine-tuning beside PyTorch, and modules saved whole with an adapter, both ways."""

import json

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from checks.logits import graft_logits, peer_logits
from verdict import at_most
from workspace import TEXT, THREADS, graft, model, reference, scratch, tokens, training_log

STEPS, BATCH, LENGTH, RATE = 5, 1, 256, 1e-4
DATA = TEXT / "gospels.txt"


def train(name, steps, *options):
    directory = scratch() / name
    run = graft(
        "train", model("f32"), "--data", DATA, "--out", directory, "--steps", steps, "--batch-size", BATCH, "--sequence-length", LENGTH,
        "--learning-rate", RATE, "--schedule", "cosine", "--no-shuffle", "--compute", "f32", "--threads", THREADS, "--quiet", *options,
    )  # fmt: skip
    return directory, run


def peer_adapter(modules, ties):
    """An adapter that PEFT saves, with modules moved away from the base's."""
    torch.manual_seed(11)
    base = AutoModelForCausalLM.from_pretrained(model("f32"), dtype=torch.float32)
    configuration = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj"], modules_to_save=modules, ensure_weight_tying=ties, task_type="CAUSAL_LM")
    peer = get_peft_model(base, configuration)
    with torch.no_grad():
        for parameter in peer.parameters():
            if parameter.requires_grad:
                parameter.add_(0.01 * torch.randn_like(parameter))
    directory = scratch() / "-".join(["peer", *modules])
    peer.save_pretrained(directory)
    return directory


def checks():
    written, ours = train("full", STEPS, "--full")
    ids = scratch() / "full-ids.json"
    ids.write_text(json.dumps(tokens(DATA)[: STEPS * BATCH * LENGTH]))
    theirs = reference(
        "train.py", model=model("f32"), ids=ids, dtype="f32", steps=STEPS, batch_size=BATCH, sequence_length=LENGTH, learning_rate=RATE,
        threads=THREADS, compiles=False, full=True,
    )  # fmt: skip
    pairs = list(zip([record["loss"] for record in training_log(written)], json.loads(theirs.output)["losses"], strict=True))
    yield at_most(f"losses of full fine-tuning over {STEPS} steps, largest relative difference from PyTorch", max(abs(a - b) / b for a, b in pairs), 1e-4)
    ratio = ours.peak_bytes / theirs.peak_bytes
    sizes = f"{ours.peak_bytes / 2**20:.0f} MiB, PyTorch eager {theirs.peak_bytes / 2**20:.0f} MiB"
    yield at_most(f"peak memory of full fine-tuning in f32 beside PyTorch's ({sizes})", ratio, 1, " ×")

    sample = tokens(TEXT / "revelation.txt")[:256]
    loaded = AutoModelForCausalLM.from_pretrained(written, dtype=torch.float32)
    yield at_most("logits of the written model, largest difference from transformers", (graft_logits(written, sample) - peer_logits(loaded, sample)).abs().max(), 1e-3)

    saved, _ = train("saved", 3, "--target-modules", "q_proj", "--train-modules", "embed_tokens", "norm")
    for label, adapter in {
        "trained by Graft with a shared embedding and a norm": saved,
        "of PEFT with the shared embedding": peer_adapter(["embed_tokens"], True),
        "of PEFT with a head of its own": peer_adapter(["lm_head"], False),
    }.items():
        base = AutoModelForCausalLM.from_pretrained(model("f32"), dtype=torch.float32)
        difference = graft_logits(model("f32"), sample, adapter) - peer_logits(PeftModel.from_pretrained(base, adapter), sample)
        yield at_most(f"logits with an adapter {label}, largest difference from PEFT", difference.abs().max(), 1e-3)
