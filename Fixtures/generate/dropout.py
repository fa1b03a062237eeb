"""LoRA with dropout by PEFT, on masks as Graft draws them: losses, gradients and training runs that PyTorch computes.

`golden/dropout/NAME.safetensors` is about the adapter `golden/lora/NAME`, with probability 0.3 and seed 2^40 + 77; `masks.py` draws the masks. It holds, in f32:

    input_ids, loss, gradient....                tokens [2, 48] as batch 5; every token but the first is a label
    train.input_ids [5, 3, 2, 32], train.loss [5], train.gradient_norm [5], train.final....

Batches are counted from 0 over a whole run. The run starts from the saved adapter and makes 5 steps of three batches each, AdamW at a rate of 1e-3 (betas 0.9
and 0.999, epsilon 1e-8, no decay), the norm clipped to 1; the norm recorded is the one before.
"""

import torch
from peft import PeftModel, get_peft_model_state_dict

from golden import GOLDEN, chained_tokens, random_tokens, save
from lora import base, gradients
from masks import Masked, mask_dropout

PROBABILITY, SEED = 0.3, 2**40 + 77

def dropping(name: str) -> PeftModel:
    """The adapter, ready for training: only the adapter drops, not what the model itself may have."""
    model = PeftModel.from_pretrained(base(name), GOLDEN / "lora" / name, is_trainable=True).eval()
    mask_dropout(model, PROBABILITY, SEED)
    return model


def train(model: PeftModel, seed: int) -> dict[str, torch.Tensor]:
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, foreach=False)
    steps = chained_tokens(seed, 5 * 3 * 2, 32).view(5, 3, 2, 32)
    losses, norms = [], []
    for step, batches in enumerate(steps):
        optimizer.zero_grad(set_to_none=True)
        total = 0
        for place, batch in enumerate(batches):
            Masked.batch = 3 * step + place
            loss = model(input_ids=batch, labels=batch).loss / len(batches)
            loss.backward()
            total += loss.detach()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, 1.0))
        losses.append(total)
        optimizer.step()
    final = {f"final.{name}": tensor for name, tensor in get_peft_model_state_dict(model, save_embedding_layers=False).items()}
    run = {"input_ids": steps, "loss": torch.stack(losses), "gradient_norm": torch.stack(norms)}
    return {f"train.{name}": tensor for name, tensor in (run | final).items()}


def make(name: str, seed: int) -> None:
    model = dropping(name)
    ids = random_tokens(seed, 2, 48)
    Masked.batch = 5
    loss, _, by_name = gradients(model, ids, ids)
    run = train(model, seed)
    save(GOLDEN / "dropout" / f"{name}.safetensors", {"input_ids": ids, "loss": loss} | by_name | run)
    losses = run["train.loss"]
    print(f"{name}: loss {loss:.4f}; run {losses[0]:.4f} to {losses[-1]:.4f}")


def main() -> None:
    for place, name in enumerate(["llama-tied", "qwen3", "gemma3", "gpt2"]):
        make(name, 300 + place)


if __name__ == "__main__":
    main()
