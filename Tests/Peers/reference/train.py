"""Trains an adapter with PyTorch and PEFT, as a careful user would; the settings are one JSON object, so is the result.

The base is in `dtype`, the adapter in f32 (PEFT's default); the loss is the model's own. The data are `ids`, one text cut into windows, or
`examples`: what the model reads in each step, with the segments that attention stays within.
"""

import json
import sys
import time

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, get_cosine_schedule_with_warmup

settings = json.loads(sys.argv[1])
steps, batch_size, length = (settings[key] for key in ("steps", "batch_size", "sequence_length"))
torch.set_num_threads(settings["threads"])
torch.manual_seed(0)


def within(segments):
    """The mask of causal attention within segments, to be added to scores: [batch, 1, length, length]."""
    sees = (segments[:, :, None] == segments[:, None, :]) & torch.ones(length, length).tril().bool()
    return torch.zeros(sees.shape).masked_fill(~sees, torch.finfo(torch.float32).min)[:, None]


if settings.get("examples"):
    with open(settings["examples"]) as file:
        data = {name: torch.tensor(values) for name, values in json.load(file).items()}
    segments = data.pop("segments")
    batches = [{name: values[step] for name, values in data.items()} | {"attention_mask": within(segments[step])} for step in range(steps)]
else:
    with open(settings["ids"]) as file:
        ids = torch.tensor(json.load(file)[: steps * batch_size * length]).view(steps, batch_size, length)
    batches = [{"input_ids": batch, "labels": batch} for batch in ids]

base = AutoModelForCausalLM.from_pretrained(settings["model"], dtype={"f32": torch.float32, "bf16": torch.bfloat16}[settings["dtype"]])
base.config.use_cache = False
if settings.get("checkpointing"):
    base.gradient_checkpointing_enable({"use_reentrant": False})
    base.enable_input_require_grads()
if settings.get("full"):
    model = base
elif settings.get("adapter"):
    model = PeftModel.from_pretrained(base, settings["adapter"], is_trainable=True)
else:
    rank, targets = settings.get("rank", 8), settings.get("targets", "q_proj,v_proj")
    targets = targets if targets == "all-linear" else targets.split(",")
    model = get_peft_model(base, LoraConfig(r=rank, lora_alpha=4 * rank, target_modules=targets, task_type="CAUSAL_LM"))
model.train()
parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer = torch.optim.AdamW(parameters, lr=settings["learning_rate"], weight_decay=0.0)
# A schedule of its own length keeps the rates of a whole run where only its first steps are made.
schedule = get_cosine_schedule_with_warmup(optimizer, 0, settings.get("schedule_steps", steps))
call = torch.compile(model) if settings["compiles"] else model


def save_gradients(path):
    named = get_peft_model_state_dict(model, state_dict={name: p.grad for name, p in model.named_parameters() if p.grad is not None}, save_embedding_layers=False)
    save_file({name.removeprefix("base_model.model."): value.float().contiguous() for name, value in named.items()}, path)


if settings.get("careful_gradients"):
    # PyTorch's log-softmax in f32 is off by some 1e-5 of the loss over a vocabulary of 49,152; in f64 it isn't.
    logits = model(input_ids=ids[0]).logits[:, :-1].double()
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[0][:, 1:].flatten()).backward()
    save_gradients(settings["careful_gradients"])
    optimizer.zero_grad(set_to_none=True)

losses, seconds = [], []
for step, batch in enumerate(batches):
    began = time.perf_counter()
    loss = call(**batch).loss
    loss.backward()
    if step == 0 and settings.get("gradients"):
        save_gradients(settings["gradients"])
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    schedule.step()
    optimizer.zero_grad(set_to_none=True)
    losses.append(loss.item())
    seconds.append(time.perf_counter() - began)
print(json.dumps({"losses": losses, "seconds": seconds}))
