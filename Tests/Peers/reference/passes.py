"""Times the passes of `graft-benchmarks kernels` in PyTorch, eager and compiled; the settings are one JSON object, so is the result.

Eager code is that of transformers' Llama and of PyTorch's optimizer; the compiled code is the same, or the formula where the eager call is one kernel.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F

settings = json.loads(sys.argv[1])
torch.set_num_threads(settings["threads"])
torch.manual_seed(0)
ROUNDS, TOKENS, WIDTH = 12, 32768, 576
bf16 = torch.bfloat16


def norm(x, delta, gain):
    total = x + delta
    wide = total.float()
    wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-5)
    return total, gain * wide.to(x.dtype)


def rotary(x, cosine, sine):
    half = x.shape[-1] // 2
    return x * cosine + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sine


def activation(gate, up):
    return F.silu(gate) * up


def activation_backward(gate, up, gradient):
    return torch.ops.aten.silu_backward(gradient * up, gate), gradient * F.silu(gate)


def softmax(x):
    return torch.softmax(x, -1)


def adamw_formula(weight, first, second, gradient):
    first.mul_(0.9).add_(gradient, alpha=0.1)
    second.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
    weight.addcdiv_(first, second.sqrt() * 1.0001 + 1e-8, value=-1e-4)


def adamw(fused):
    weight = torch.rand(8 << 20, requires_grad=True)
    weight.grad = torch.rand(8 << 20)
    return torch.optim.AdamW([weight], lr=1e-4, weight_decay=0.0, fused=fused).step


def fastest(work, *inputs) -> float:
    for _ in range(2):
        work(*inputs)
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work(*inputs)
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def rows(*shape):
    return torch.randn(*shape).to(bf16)


passes = {
    "add + RMSNorm": (norm, lambda: (rows(TOKENS, WIDTH), rows(TOKENS, WIDTH), rows(WIDTH))),
    "rotary": (rotary, lambda: (rows(32, 2048, 9, 64), rows(2048, 1, 64), rows(2048, 1, 64))),
    "SwiGLU forward": (activation, lambda: (rows(TOKENS // 2, 1536), rows(TOKENS // 2, 1536))),
    "SwiGLU backward": (activation_backward, lambda: tuple(rows(TOKENS // 2, 1536) for _ in range(3))),
    "row softmax": (softmax, lambda: (rows(8192, 4096),)),
    "AdamW": (adamw_formula, lambda: tuple(torch.rand(8 << 20) for _ in range(4))),
}
results = {}
with torch.no_grad():
    for name, (work, inputs) in passes.items():
        given = inputs()
        # Of the optimizer's own implementations, the faster one.
        eager = min(fastest(adamw(fused)) for fused in (False, True)) if name == "AdamW" else fastest(work, *given)
        results[name] = {"eager": eager, "compiled": fastest(torch.compile(work), *given)}
print(json.dumps(results))
