"""PyTorch's values for the small decoder of Tests/GraftGraphTests/TinyLlama.swift.

Run: python graph.py > ../golden/graph/decoder.json
Weights follow the formula of Example.swift: element i of parameter n is offset + scale * sin(0.7 i + 1.3 n),
n counting every named value in the order in which the graph declares them.
"""

import json

import torch

BATCH, SEQUENCE, HIDDEN, HEADS, GROUPS, WIDTH = 2, 6, 16, 4, 2, 4
INTERMEDIATE, VOCABULARY, RANK, LAYERS = 24, 20, 2, 2
TOKENS = BATCH * SEQUENCE
declared = 0
adapters = {}


def parameter(*shape, scale=1.0, offset=0.0):
    global declared
    count = torch.Size(shape).numel()
    i = torch.arange(count, dtype=torch.float64)
    values = offset + scale * torch.sin(0.7 * i + 1.3 * declared)
    declared += 1
    return values.float().double().reshape(shape)


def norm(x):
    return torch.nn.functional.rms_norm(
        x, [HIDDEN], parameter(HIDDEN, scale=0.3, offset=1), eps=1e-5)


def linear(x, path, size, adapted=False):
    y = x @ parameter(size, x.shape[-1], scale=0.3).T
    if not adapted:
        return y
    a = parameter(RANK, x.shape[-1], scale=0.4).requires_grad_()
    b = parameter(size, RANK, scale=0.4).requires_grad_()
    adapters[path + ".A"], adapters[path + ".B"] = a, b
    return y + 2 * (x @ a.T) @ b.T


def rotated(x, count, cosine, sine):
    x = x.reshape(BATCH, SEQUENCE, count, WIDTH).transpose(1, 2)
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat([-second, first], dim=-1) * sine


def block(x, path, cosine, sine):
    normed = norm(x)
    q = rotated(linear(normed, path + ".q", HEADS * WIDTH, True), HEADS, cosine, sine)
    k = rotated(linear(normed, path + ".k", GROUPS * WIDTH), GROUPS, cosine, sine)
    v = linear(normed, path + ".v", GROUPS * WIDTH, True)
    v = v.reshape(BATCH, SEQUENCE, GROUPS, WIDTH).transpose(1, 2)
    o = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, is_causal=True, scale=0.5, enable_gqa=True)
    x = x + linear(o.transpose(1, 2).reshape(TOKENS, HEADS * WIDTH), path + ".o", HIDDEN)
    second = norm(x)
    gate = linear(second, path + ".gate", INTERMEDIATE)
    up = linear(second, path + ".up", INTERMEDIATE)
    return x + linear(torch.nn.functional.silu(gate) * up, path + ".down", HIDDEN)


table = parameter(VOCABULARY, HIDDEN, scale=0.8)
ids = torch.tensor([(t * 7 + 3) % VOCABULARY for t in range(TOKENS)])
targets = torch.tensor(
    [-100 if t % 6 == 5 else (t * 5 + 1) % VOCABULARY for t in range(TOKENS)])
declared += 2  # ids, targets
angles = torch.tensor(
    [[t / (1 + 3 * (i % (WIDTH // 2))) for i in range(WIDTH)] for t in range(SEQUENCE)],
    dtype=torch.float64)
cosine, sine = angles.cos().float().double(), angles.sin().float().double()
declared += 2  # cosine, sine
x = table[ids]
for layer in range(LAYERS):
    x = block(x, f"block.{layer}", cosine, sine)
losses = torch.nn.functional.cross_entropy(
    norm(x) @ table.T, targets, reduction="none", ignore_index=-100)
(losses.sum() / TOKENS).backward()


def numbers(tensor):
    return [float(f"{value:.9g}") for value in tensor.detach().flatten().tolist()]


print(json.dumps({
    "generator": f"torch {torch.__version__}, float64",
    "losses": numbers(losses),
    "gradients": {name: numbers(value.grad) for name, value in adapters.items()},
}, indent=1))
