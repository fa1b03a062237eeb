"""PyTorch's values and gradients of the expressions in Tests/GraftGraphTests/GradientTests.swift, by name.

Run: python operations.py > ../golden/operations/operations.json
`x` and `y` follow the formula of Example.swift, as does the loss: the sum of w * result, w differing from element to element.
"""

import json

import torch

IDS = torch.tensor([1, 4, 4, 0, 2, 4])
TARGETS = torch.tensor([1, 4, -1, 0, 2, 5])
SEGMENTS = torch.tensor([0, 2, 2, 2, 2, 3])


def parameter(number, scale, offset):
    i = torch.arange(48, dtype=torch.float64)
    values = offset + scale * torch.sin(0.7 * i + 1.3 * number)
    return values.float().double().reshape(6, 8).requires_grad_()


def rotate_half(x, width):
    first, second = x.reshape(6, -1, width).chunk(2, dim=-1)
    return torch.cat([-second, first], dim=-1).reshape(6, 8)


def attention(x, y, batch, causal=True, window=6, segments=torch.zeros(6)):
    length = 6 // batch
    q = x.reshape(batch, length, 4, 2).transpose(1, 2)
    k = y.reshape(24, 2).sum(-1).reshape(batch, length, 2, 2).transpose(1, 2)
    v = y.reshape(24, 2).square().sum(-1).reshape(batch, length, 2, 2).transpose(1, 2)
    distance = torch.arange(length)[:, None] - torch.arange(length)[None, :]
    sees = (distance.abs() < window) & (segments[:length, None] == segments[None, :length])
    if causal:
        sees &= distance >= 0
    o = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=sees, scale=0.7, enable_gqa=True)
    return o.transpose(1, 2).reshape(6, 8)


def thrice(x, y):
    z = x * y
    return z.exp() + z.sum(-1, keepdim=True) + z @ z.T @ z


EXPRESSIONS = {
    "negate": lambda x, y: -x,
    "exp": lambda x, y: x.exp(),
    "log": lambda x, y: x.log(),
    "squareRoot": lambda x, y: x.sqrt(),
    "reciprocalSquareRoot": lambda x, y: x.rsqrt(),
    "reciprocal": lambda x, y: x.reciprocal(),
    "tanh": lambda x, y: x.tanh(),
    "sigmoid": lambda x, y: x.sigmoid(),
    "erf": lambda x, y: x.erf(),
    "absolute": lambda x, y: (x - y).abs(),
    "square": lambda x, y: x.square(),
    "sine": lambda x, y: x.sin(),
    "cosine": lambda x, y: x.cos(),
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "select": lambda x, y: torch.where(x < y, x.square(), x * y),
    "less and equal have none": lambda x, y: x * (x < y) + y * (x == x),
    "rotateHalf": lambda x, y: rotate_half(x, 4) * y,
    "rowSum": lambda x, y: x.square().sum(-1, keepdim=True) * y,
    "rowMax": lambda x, y: x.amax(-1, keepdim=True) * y,
    "sumRows": lambda x, y: x.square().sum(0) * y,
    "softmax": lambda x, y: x.softmax(-1) * y,
    "a vector broadcast over rows": lambda x, y: x * y.sum(0),
    "a column broadcast over columns": lambda x, y: x / y.sum(-1, keepdim=True),
    "a scalar broadcast": lambda x, y: x * y.sum(),
    "broadcast": lambda x, y: y.sum(0).expand(6, 8) * x.square(),
    "an outer axis broadcast": lambda x, y: x.reshape(2, 3, 2, 4) * y.reshape(2, 24).sum(0).reshape(3, 2, 4),
    "reshape": lambda x, y: x.reshape(12, 4).square().sum(-1, keepdim=True) * y.reshape(12, 4),
    "matmul": lambda x, y: x @ y.reshape(8, 6),
    "matmul, b transposed": lambda x, y: x @ y.T,
    "matmul, a transposed": lambda x, y: x.T @ y,
    "matmul, both transposed": lambda x, y: x.T @ y.reshape(8, 6).T,
    "a value used by three operations": thrice,
    "attention": lambda x, y: attention(x, y, 2),
    "attention in a window": lambda x, y: attention(x, y, 1, window=2),
    "attention within segments": lambda x, y: attention(x, y, 1, segments=SEGMENTS),
    "attention within segments and a window": lambda x, y: attention(x, y, 1, window=2, segments=SEGMENTS),
    "attention both ways": lambda x, y: attention(x, y, 2, causal=False),
    "attention both ways within segments": lambda x, y: attention(x, y, 1, causal=False, segments=SEGMENTS),
    "gather": lambda x, y: x[IDS] * y,
    "crossEntropy": lambda x, y: torch.nn.functional.cross_entropy(
        x @ y.T, TARGETS, reduction="none", ignore_index=-1),
}


def numbers(tensor):
    return [float(f"{value:.9g}") for value in tensor.detach().flatten().tolist()]


def golden(expression):
    x, y = parameter(0, 0.6, 1.1), parameter(1, 0.5, 1.3)
    result = expression(x, y)
    i = torch.arange(result.numel(), dtype=torch.float64)
    weights = (0.5 + 0.25 * torch.sin(1.1 * i)).float().double()
    (result.flatten() * weights).sum().backward()
    gradients = {name: numbers(value.grad) for name, value in (("x", x), ("y", y)) if value.grad is not None}
    return {"result": numbers(result), "gradients": gradients}


lines = [f"{json.dumps(name)}: {json.dumps(golden(expression))}" for name, expression in EXPRESSIONS.items()]
print("{" + json.dumps("generator") + f': "torch {torch.__version__}, float64",')
print(",\n".join(lines) + "}")
