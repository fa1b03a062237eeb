"""Golden values of attention and of the loss head, by PyTorch (2.13.0, CPU, float64).

Inputs are sines of their index, so that the tests make them again; only results are stored, as raw float32 in the
order of the names printed below. Run from the repository: python Fixtures/generate/kernel_values.py
"""

import pathlib

import torch

OUT = pathlib.Path(__file__).resolve().parent.parent / "golden" / "kernels"


def wave(count, phase, scale):
    i = torch.arange(count, dtype=torch.float64)
    return (torch.sin(i * 0.7391 + phase) * scale).float().double()


def write(name, tensors):
    data = b"".join(t.detach().float().contiguous().numpy().tobytes() for t in tensors)
    (OUT / name).write_bytes(data)
    print(name, [tuple(t.shape) for t in tensors], len(data))


def attention():
    batch, sequence, heads, kv, dim, scale = 2, 150, 4, 2, 8, 0.6
    q = wave(batch * sequence * heads * dim, 0.1, 2).view(batch, sequence, heads, dim)
    k = wave(batch * sequence * kv * dim, 0.5, 2).view(batch, sequence, kv, dim)
    v = wave(batch * sequence * kv * dim, 0.9, 1).view(batch, sequence, kv, dim)
    g = wave(batch * sequence * heads * dim, 1.3, 1).view(batch, sequence, heads, dim)
    for t in (q, k, v):
        t.requires_grad_(True)
    kk = k.repeat_interleave(heads // kv, dim=2).transpose(1, 2)
    vv = v.repeat_interleave(heads // kv, dim=2).transpose(1, 2)
    scores = q.transpose(1, 2) @ kk.transpose(2, 3) * scale
    scores = scores.masked_fill(torch.ones(sequence, sequence).triu(1).bool(), float("-inf"))
    o = (torch.softmax(scores, -1) @ vv).transpose(1, 2)
    lse = torch.logsumexp(scores, -1).transpose(1, 2)
    o.backward(g)
    write("attention.f32", [o, lse, q.grad, k.grad, v.grad])


# Of each mask: whether it is causal, its window and whether it has segments.
MASKS = [(True, 40, False), (True, None, True), (True, 40, True), (False, None, True), (False, 40, False)]
# One past the last token of each segment, of either sequence.
SEGMENT_ENDS = [[40, 41, 108, 150], [130, 150]]


def masked_attention():
    batch, sequence, heads, kv, dim, scale = 2, 150, 4, 2, 8, 0.6
    token = torch.arange(sequence)
    distance = token[:, None] - token[None, :]
    segments = torch.stack([(token[:, None] >= torch.tensor(ends)).sum(1) for ends in SEGMENT_ENDS])
    results = []
    for causal, window, segmented in MASKS:
        sees = (distance >= 0) | torch.tensor(not causal)
        if window:
            sees = sees & (distance.abs() < window)
        sees = sees.expand(batch, 1, sequence, sequence)
        if segmented:
            sees = sees & (segments[:, None, :, None] == segments[:, None, None, :])
        q, k, v, g = (
            wave(batch * sequence * n * dim, phase, size).view(batch, sequence, n, dim).transpose(1, 2)
            for n, phase, size in ((heads, 0.1, 2), (kv, 0.5, 2), (kv, 0.9, 1), (heads, 1.3, 1))
        )
        for t in (q, k, v):
            t.requires_grad_(True)
        o = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=sees, scale=scale, enable_gqa=True)
        gradients = torch.autograd.grad(o, (q, k, v), g)
        # Every third token of the batch tells enough.
        results += [t.transpose(1, 2).flatten(0, 1)[::3] for t in (o, *gradients)]
    write("attention_masks.f32", results)


def cross_entropy():
    tokens, hidden, vocab = 37, 24, 5000
    x = wave(tokens * hidden, 0.2, 2).view(tokens, hidden).requires_grad_(True)
    head = wave(vocab * hidden, 0.7, 1).view(vocab, hidden).requires_grad_(True)
    targets = torch.arange(tokens) * 811 % vocab
    targets[5] = -100
    losses = torch.nn.functional.cross_entropy(x @ head.T, targets, reduction="none")
    weights = wave(tokens, 0.3, 1)
    dx = torch.autograd.grad(losses.sum(), x, retain_graph=True)[0]
    dhead = torch.autograd.grad((losses * weights).sum(), head)[0]
    write("cross_entropy.f32", [losses, dx, dhead[:, 3]])


OUT.mkdir(parents=True, exist_ok=True)
attention()
masked_attention()
cross_entropy()
