"""An adapter that Graft trained, used elsewhere: in PEFT, merged in transformers, merged and attached in Graft."""

import json

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from checks.logits import graft_logits, peer_logits
from checks.training import trained_adapter
from verdict import all_equal, at_most
from workspace import TEXT, THREADS, graft, model, scratch, tokens

PROMPTS = ["And it came to pass in those days,", "The capital of France is", "Blessed is he that"]
MAXIMUM = 32


def checks():
    base = AutoModelForCausalLM.from_pretrained(model("f32"), dtype=torch.float32)
    attached = PeftModel.from_pretrained(base, trained_adapter())
    ids = tokens(TEXT / "revelation.txt")[:512]
    theirs = peer_logits(attached, ids)
    ours = graft_logits(model("f32"), ids, trained_adapter())
    yield at_most("f32 logits with the trained adapter, largest difference from PEFT", (ours - theirs).abs().max(), 1e-3)

    merged = scratch() / "merged-f32"
    graft("merge", model("f32"), trained_adapter(), "--out", merged, "--threads", THREADS, "--quiet")
    loaded = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32)
    yield at_most("f32 logits of the merged directory in transformers, largest difference from PEFT", (peer_logits(loaded, ids) - theirs).abs().max(), 1e-3)

    tokenizer = AutoTokenizer.from_pretrained(merged)
    for label, generate in {
        "merged in transformers": lambda prompt: peer_greedy(loaded, tokenizer, prompt),
        "merged in Graft": lambda prompt: graft_greedy(merged, prompt),
        "adapter in Graft": lambda prompt: graft_greedy(model("f32"), prompt, "--adapter", trained_adapter()),
    }.items():
        different = [prompt for prompt in PROMPTS if generate(prompt) != peer_greedy(attached, tokenizer, prompt)]
        yield all_equal(f"{MAXIMUM} greedy tokens, {label} beside PEFT", different, len(PROMPTS))


@torch.inference_mode()
def peer_greedy(peer, tokenizer, prompt) -> list[int]:
    inputs = tokenizer(prompt, return_tensors="pt")
    ids = peer.generate(**inputs, max_new_tokens=MAXIMUM, do_sample=False, pad_token_id=tokenizer.eos_token_id)[0]
    added = ids[inputs["input_ids"].shape[1] :].tolist()
    ends = peer.config.eos_token_id
    return added[: added.index(ends)] if ends in added else added


def graft_greedy(directory, prompt, *options) -> list[int]:
    run = graft("generate", directory, "--prompt", prompt, "--max-tokens", MAXIMUM, "--compute", "f32", "--threads", THREADS, "--json", *options)
    return json.loads(run.output)["tokens"]
