"""LoRA adapters saved by PEFT on two of the tiny models, with what PyTorch computes for them: logits, losses, gradients, a training run.

`golden/lora/NAME/` is a PEFT adapter of `golden/families/NAME`. Adapter tensors go by the names they have in its file; G stands for
`gradient`, then such a name. Its `golden.safetensors` holds, everything in f32 with eager attention:

    input_ids, loss, logits, G...            tokens [2, 48]; every token but the first is a label
    masked.labels, masked.loss, masked.G...  the same tokens, labels of -100 not counted (labels are not yet shifted)
    train.input_ids [20, 4, 32], train.learning_rate [20], train.loss [20], train.gradient_norm [20], train.final....

Losses are means over the counted labels of a batch: the logits at position t predict the label at t + 1. The run starts from the
saved adapter and makes 20 steps, two batches in turn, of AdamW (rate 1e-3, betas 0.9 and 0.999, epsilon 1e-8, decoupled weight decay 0.01 on both
factors), the global gradient norm clipped to 1 (scaled by 1 / (norm + 1e-6) where that is less than 1; the norm recorded is the
one before). With step counted from 0, the rate is multiplied by step / 4 in the first 4 steps (so the first step changes nothing)
and by (1 + cos(pi (step - 4) / 16)) / 2 afterwards.

The adapter of `gpt2` is of transposed weights (`fan_in_fan_out`), those of `gemma3` of layers with and without a window.

`golden/lora/llama-tied-all-linear/` is an rsLoRA adapter of all linear layers with ranks and alphas by pattern: `input_ids`, `logits`.
"""

import json
import math
import pathlib
import shutil

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from transformers import AutoModelForCausalLM, get_cosine_schedule_with_warmup

from golden import GOLDEN, chained_tokens, random_tokens, save

STEPS, WARM_UP, RATE = 20, 4, 1e-3


def base(name: str) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(GOLDEN / "families" / name, dtype=torch.float32, attn_implementation="eager")


@torch.no_grad()
def randomize(model: PeftModel, seed: int) -> None:
    """A as PEFT would draw it, B small but not zero."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_A" in name:
            bound = 1 / parameter.shape[1] ** 0.5
            parameter.copy_((2 * torch.rand(parameter.shape, generator=generator) - 1) * bound)
        elif "lora_B" in name:
            parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator))


def save_adapter(model: PeftModel, directory: pathlib.Path, base_name: str) -> None:
    """Saves as PEFT does, with a base path and an order of names that do not depend on the machine."""
    shutil.rmtree(directory, ignore_errors=True)
    model.save_pretrained(directory, save_embedding_layers=False)
    (directory / "README.md").unlink(missing_ok=True)
    path = directory / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = f"../../families/{base_name}"
    config["target_modules"] = sorted(config["target_modules"])
    path.write_text(json.dumps(config, indent=2) + "\n")


def gradients(model: PeftModel, ids: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Loss, logits and the gradient of each adapter tensor, by the tensor's name in the adapter's file."""
    model.zero_grad(set_to_none=True)
    output = model(input_ids=ids, labels=labels)
    output.loss.backward()
    with torch.no_grad():
        by_name = get_peft_model_state_dict(model, save_embedding_layers=False, state_dict={name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    return output.loss, output.logits, {f"gradient.{name}": gradient for name, gradient in by_name.items()}


def train(model: PeftModel, seed: int) -> dict[str, torch.Tensor]:
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, foreach=False)
    schedule = get_cosine_schedule_with_warmup(optimizer, WARM_UP, STEPS)
    batches = chained_tokens(seed, 2 * 4, 32).view(2, 4, 32).repeat(STEPS // 2, 1, 1)
    rates, losses, norms = [], [], []
    for step, batch in enumerate(batches):
        factor = step / WARM_UP if step < WARM_UP else (1 + math.cos(math.pi * (step - WARM_UP) / (STEPS - WARM_UP))) / 2
        assert math.isclose(schedule.get_last_lr()[0], RATE * factor, rel_tol=1e-12, abs_tol=1e-18)
        optimizer.zero_grad(set_to_none=True)
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, 1.0))
        rates.append(schedule.get_last_lr()[0])
        losses.append(loss.detach())
        optimizer.step()
        schedule.step()
    final = {f"final.{name}": tensor for name, tensor in get_peft_model_state_dict(model, save_embedding_layers=False).items()}
    run = {"input_ids": batches, "learning_rate": torch.tensor(rates), "loss": torch.stack(losses), "gradient_norm": torch.stack(norms)}
    return {f"train.{name}": tensor for name, tensor in (run | final).items()}


def train_adapter(name: str, seed: int, targets: list[str] = ["q_proj", "v_proj"]) -> None:
    directory = GOLDEN / "lora" / name
    config = LoraConfig(r=8, lora_alpha=32, lora_dropout=0.0, target_modules=targets, task_type="CAUSAL_LM")
    made = get_peft_model(base(name), config)
    randomize(made, seed)
    save_adapter(made, directory, name)

    model = PeftModel.from_pretrained(base(name), directory, is_trainable=True).eval()
    ids = random_tokens(seed, 2, 48)
    loss, logits, by_name = gradients(model, ids, ids)
    labels = ids.clone()
    labels[0, :17] = -100
    labels[1, 5:9] = -100
    labels[1, 40:] = -100
    masked_loss, _, masked_by_name = gradients(model, ids, labels)
    masked = {"labels": labels, "loss": masked_loss} | masked_by_name
    run = train(model, seed)
    save(
        directory / "golden.safetensors",
        {"input_ids": ids, "loss": loss, "logits": logits} | by_name | {f"masked.{n}": t for n, t in masked.items()} | run,
    )
    losses, norms = run["train.loss"], run["train.gradient_norm"]
    print(f"{name}: loss {loss:.4f}, masked {masked_loss:.4f}; run {losses[0]:.4f}, {losses[1]:.4f} to {losses[-2]:.4f}, {losses[-1]:.4f}, gradient norms {norms.min():.3f} to {norms.max():.3f}")


def all_linear(name: str, seed: int) -> None:
    directory = GOLDEN / "lora" / f"{name}-all-linear"
    config = LoraConfig(
        r=4,
        lora_alpha=6,
        use_rslora=True,
        target_modules="all-linear",
        rank_pattern={"q_proj": 2, "layers.1.mlp.down_proj": 7},
        alpha_pattern={"v_proj": 3, "layers.1.mlp.down_proj": 16},
        task_type="CAUSAL_LM",
    )
    made = get_peft_model(base(name), config)
    randomize(made, seed)
    save_adapter(made, directory, name)
    model = PeftModel.from_pretrained(base(name), directory).eval()
    ids = random_tokens(seed, 2, 48)
    with torch.no_grad():
        logits = model(ids).logits
        with model.disable_adapter():
            plain = model(ids).logits
    save(directory / "golden.safetensors", {"input_ids": ids, "logits": logits})
    ranks = {n.split("layers.")[1].split(".lora")[0]: m.shape[0] for n, m in model.named_parameters() if "lora_A" in n}
    print(f"{name}, all linear: the adapter moves logits by {(logits - plain).abs().max():.3f}; ranks {ranks}")


def main() -> None:
    train_adapter("llama-tied", 200)
    train_adapter("qwen3", 201)
    all_linear("llama-tied", 202)
    train_adapter("gemma3", 203, ["q_proj", "v_proj", "down_proj"])
    train_adapter("gpt2", 204, ["c_attn", "c_proj", "c_fc"])


if __name__ == "__main__":
    main()
