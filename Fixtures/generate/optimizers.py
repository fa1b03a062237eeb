"""Ten steps of optimizers on small tensors with given gradients, as PyTorch, transformers and PEFT take them.

Run: python optimizers.py
Writes ../golden/optimizers/optimizers.safetensors: `start.T` and `gradients.T` [10, ...] of the tensors T, the learning rates `rates` [10], and
for each case C `C.T` [10, ...]: the tensor after each step. Lion is written here from algorithm 2 of arXiv 2302.06675. Muon stands there twice:
as PyTorch has it, with the Newton-Schulz iteration in bf16, and with the same function's iteration kept in f32.
"""

import contextlib
import sys

from golden import GOLDEN, save

sys.path.pop(0)  # transformers imports a package `kernels` if there is one: not the script of that name

import peft.optimizers
import torch
import transformers.optimization

STEPS = 10
SHAPES = {"tall": (12, 5), "wide": (5, 16), "square": (6, 6), "vector": (7,)}
RATES = [0.02 * (1 - step / 20) for step in range(STEPS)]


class Lion(torch.optim.Optimizer):
    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for theta in group["params"]:
                m = self.state[theta].setdefault("m", torch.zeros_like(theta))
                c = beta1 * m + (1 - beta1) * theta.grad
                self.state[theta]["m"] = beta2 * m + (1 - beta2) * theta.grad
                theta.sub_(group["lr"] * (c.sign() + group["weight_decay"] * theta))


@contextlib.contextmanager
def kept_in_f32():
    narrow = torch.Tensor.bfloat16
    torch.Tensor.bfloat16 = lambda tensor: tensor.clone()
    try:
        yield
    finally:
        torch.Tensor.bfloat16 = narrow


def run(optimizer, parameters, gradients, factors=None):
    """The tensors after each step, by name."""
    factors = factors or [1.0] * len(optimizer.param_groups)
    after = {name: [] for name in parameters}
    for step, rate in enumerate(RATES):
        for group, factor in zip(optimizer.param_groups, factors):
            group["lr"] = rate * factor
        for name, parameter in parameters.items():
            parameter.grad = gradients[name][step].clone()
        optimizer.step()
        for name, parameter in parameters.items():
            after[name].append(parameter.detach().clone())
    return {name: torch.stack(values) for name, values in after.items()}


def lora_plus(start, gradients, ratio):
    """`wide` as A and `tall` as B of an adapter of rank 5, with PEFT's groups."""
    base = torch.nn.Sequential(torch.nn.Linear(16, 12, bias=False))
    model = peft.get_peft_model(base, peft.LoraConfig(r=5, target_modules=["0"]))
    layer = model.base_model.model[0]
    parameters = {"wide": layer.lora_A["default"].weight, "tall": layer.lora_B["default"].weight}
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(start[name])
    optimizer = peft.optimizers.create_loraplus_optimizer(
        model, torch.optim.AdamW, lr=1.0, loraplus_lr_ratio=ratio, loraplus_weight_decay=0.1)
    return run(optimizer, parameters, gradients, [group["lr"] for group in optimizer.param_groups])


generator = torch.Generator().manual_seed(17)
start = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
gradients = {
    name: torch.randn(STEPS, *shape, generator=generator) * 0.3 + torch.randn(shape, generator=generator)
    for name, shape in SHAPES.items()
}
cases = {
    "adamw": lambda p: torch.optim.AdamW(p, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
    "sgd": lambda p: torch.optim.SGD(p, momentum=0.8, weight_decay=0.1),
    "sgd-nesterov": lambda p: torch.optim.SGD(p, momentum=0.8, weight_decay=0.1, nesterov=True),
    "sgd-plain": lambda p: torch.optim.SGD(p, momentum=0, weight_decay=0.1),
    "adafactor": lambda p: transformers.optimization.Adafactor(
        p, lr=1.0, scale_parameter=False, relative_step=False, weight_decay=0.1),
    "lion": lambda p: Lion(p, lr=1.0, betas=(0.9, 0.98), weight_decay=0.1),
    "muon": lambda p: torch.optim.Muon(p, weight_decay=0.1),
    "muon-heavy-ball": lambda p: torch.optim.Muon(
        p, momentum=0.9, nesterov=False, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
}
result = {"rates": torch.tensor(RATES, dtype=torch.float64)}
result |= {f"start.{name}": value for name, value in start.items()}
result |= {f"gradients.{name}": value for name, value in gradients.items()}
for case, make in cases.items():
    names = [name for name, shape in SHAPES.items() if len(shape) == 2 or not case.startswith("muon")]
    variants = {case: contextlib.nullcontext()}
    if case.startswith("muon"):
        variants[case + ".f32"] = kept_in_f32()
    for variant, context in variants.items():
        parameters = {name: torch.nn.Parameter(start[name].clone()) for name in names}
        with context:
            after = run(make(list(parameters.values())), parameters, gradients)
        result |= {f"{variant}.{name}": value for name, value in after.items()}
result |= {f"lora-plus.{name}": value for name, value in lora_plus(start, gradients, 8.0).items()}
save(GOLDEN / "optimizers/optimizers.safetensors", result)
