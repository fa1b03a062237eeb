"""Causal attention of SmolLM2's heads, forward and backward, beside PyTorch's scaled_dot_product_attention."""

import json
import time

from workspace import THREADS, benchmarks

SHAPES = [(4, 512), (1, 8192)]


def peer(batch: int, length: int, name: str) -> tuple[float, float]:
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    torch.set_num_threads(int(THREADS))
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[name]
    q, g = (torch.randn(batch, 9, length, 64, dtype=dtype) for _ in range(2))
    k, v = (torch.randn(batch, 3, length, 64, dtype=dtype, requires_grad=True) for _ in range(2))
    q.requires_grad_()

    def forward():
        return scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)

    def best(work):
        seconds = []
        for _ in range(4 if length > 4096 else 16):
            began = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - began)
        return min(seconds[1:])

    with torch.no_grad():
        alone = best(forward)
    return alone, best(lambda: torch.autograd.grad(forward(), (q, k, v), g))


def lines():
    yield "### Causal attention: 9 heads over 3 of keys and values, head dimension 64"
    yield ""
    yield "| tokens | precision | Graft, forward | PyTorch, forward | Graft, both passes | PyTorch, both passes |"
    yield "|---|---|---:|---:|---:|---:|"
    for batch, length in SHAPES:
        for precision in ("f32", "bf16"):
            ours = json.loads(benchmarks("attention", batch, length, precision, THREADS).output)
            forward, both = peer(batch, length, precision)
            times = [ours["forward"], forward, ours["forward"] + ours["backward"], both]
            yield f"| {batch} × {length} | {precision} | " + " | ".join(f"{t * 1000:.1f} ms" for t in times) + " |"
