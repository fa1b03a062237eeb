"""Checks an adapter written by Graft, and the model it was merged into, with PEFT and transformers.

    adapters.py BASE ADAPTER MERGED

ADAPTER on BASE through PEFT and MERGED through transformers must give the same logits (1e-3, f32) and the same greedy
continuation of 32 tokens. Prints one line and ends with status 1 where they don't.
"""

import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

TOKENS, CONTINUED, TOLERANCE = 48, 32, 1e-3


def load(path: str) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()


@torch.no_grad()
def main() -> int:
    base, adapter, merged = sys.argv[1:]
    adapted, whole = PeftModel.from_pretrained(load(base), adapter).eval(), load(merged)
    ids = torch.randint(0, whole.config.vocab_size, (1, TOKENS), generator=torch.Generator().manual_seed(0))
    difference = (adapted(ids).logits - whole(ids).logits).abs().max().item()
    options = {"max_new_tokens": CONTINUED, "min_new_tokens": CONTINUED, "do_sample": False}
    continuations = [model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **options) for model in (adapted, whole)]
    same = torch.equal(*continuations)
    print(f"largest difference of logits {difference:.2e}, greedy continuations {'equal' if same else 'differ'}")
    return 0 if difference <= TOLERANCE and same else 1


if __name__ == "__main__":
    sys.exit(main())
