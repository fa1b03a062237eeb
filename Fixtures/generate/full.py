"""The tiny models' own tensors trained by PyTorch, and PEFT adapters that save modules whole or update the output head.

`golden/full/NAME/golden.safetensors` belongs to `golden/families/NAME`. Everything is in f32 with eager attention; tensors go by
their names in the model, a shared embedding and head by the embedding's:

    input_ids, loss, gradient....            tokens [2, 32]; every token but the first is a label. For qwen3 and gemma3 the vectors only
    train.input_ids [10, 4, 32], train.loss [10], train.gradient_norm [10], train.final....        for qwen2 and llama-untied-linear-rope

The run makes 10 steps, two batches in turn, of AdamW on every tensor (rate 1e-3 all the way, betas 0.9 and 0.999, epsilon 1e-8,
decoupled weight decay 0.01), the global gradient norm clipped to 1 (the norm recorded is the one before).

`golden/full/ADAPTER/` is a PEFT adapter of q_proj with rank 2, whose modules saved whole are moved away from the base's; its
`golden.safetensors` holds `input_ids` [1, 24] and PEFT's `logits`:

    both-untied   llama-untied-linear-rope   embed_tokens and lm_head
    both-tied     qwen2                      embed_tokens and lm_head with ensure_weight_tying: one tensor
    head-of-tied  qwen2                      lm_head alone: PEFT trains a copy, so that embedding and head part
    table-of-tied qwen2                      embed_tokens alone: the same the other way round

`golden/full/head-update/` is one of q_proj and lm_head of `llama-untied-linear-rope`, and saves nothing whole.
"""

import torch
from peft import LoraConfig, PeftModel, get_peft_model

from golden import GOLDEN, chained_tokens, random_tokens, save
from lora import base, save_adapter

STEPS, RATE = 10, 1e-3
LENGTH = 32


def train(model: torch.nn.Module, seed: int) -> dict[str, torch.Tensor]:
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, foreach=False)
    batches = chained_tokens(seed, 2 * 4, LENGTH).view(2, 4, LENGTH).repeat(STEPS // 2, 1, 1)
    losses, norms = [], []
    for batch in batches:
        optimizer.zero_grad(set_to_none=True)
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, 1.0))
        losses.append(loss.detach())
        optimizer.step()
    final = {f"final.{name}": parameter for name, parameter in model.named_parameters()}
    run = {"input_ids": batches, "loss": torch.stack(losses), "gradient_norm": torch.stack(norms)}
    return {f"train.{name}": tensor for name, tensor in (run | final).items()}


def whole(name: str, seed: int, trains: bool, vectors_only: bool = False) -> None:
    model = base(name).eval()
    ids = random_tokens(seed, 2, LENGTH)
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    gradients = {f"gradient.{n}": p.grad for n, p in model.named_parameters() if p.dim() == 1 or not vectors_only}
    run = train(base(name).eval(), seed) if trains else {}
    save(GOLDEN / "full" / name / "golden.safetensors", {"input_ids": ids, "loss": loss} | gradients | run)
    print(f"{name}: loss {loss:.4f}, {len(gradients)} gradients" + (f"; run {run['train.loss'][0]:.4f} to {run['train.loss'][-1]:.4f}" if trains else ""))


@torch.no_grad()
def adapter(label: str, name: str, seed: int, modules: list[str], ties: bool = False, targets: tuple[str, ...] = ("q_proj",)) -> None:
    directory = GOLDEN / "full" / label
    config = LoraConfig(r=2, lora_alpha=4, target_modules=list(targets), modules_to_save=modules or None, ensure_weight_tying=ties, task_type="CAUSAL_LM")
    torch.manual_seed(seed)
    made = get_peft_model(base(name), config)
    generator = torch.Generator().manual_seed(seed)
    for parameter in made.parameters():
        if parameter.requires_grad:
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    save_adapter(made, directory, name)
    model = PeftModel.from_pretrained(base(name), directory).eval()
    ids = random_tokens(seed, 1, 24)
    logits = model(ids).logits
    assert torch.equal(logits, made.eval()(ids).logits)
    with model.disable_adapter():
        plain = model(ids).logits
    save(directory / "golden.safetensors", {"input_ids": ids, "logits": logits})
    print(f"{label}: the adapter moves logits by {(logits - plain).abs().max():.3f}")


def main() -> None:
    whole("qwen2", 300, trains=True)
    whole("llama-untied-linear-rope", 301, trains=True)
    whole("llama-head-dim", 302, trains=False)
    whole("qwen3", 303, trains=False, vectors_only=True)
    whole("gemma3", 304, trains=False, vectors_only=True)
    whole("gpt2", 305, trains=False)
    adapter("both-untied", "llama-untied-linear-rope", 310, ["embed_tokens", "lm_head"])
    adapter("both-tied", "qwen2", 311, ["embed_tokens", "lm_head"], ties=True)
    adapter("head-of-tied", "qwen2", 312, ["lm_head"])
    adapter("table-of-tied", "qwen2", 313, ["embed_tokens"])
    adapter("head-update", "llama-untied-linear-rope", 314, [], targets=("q_proj", "lm_head"))


if __name__ == "__main__":
    main()
