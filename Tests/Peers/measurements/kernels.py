"""The passes between a step's products, beside PyTorch and the bandwidth of memory."""

import json

from workspace import THREADS, benchmarks, reference


def lines():
    ours = json.loads(benchmarks("kernels", THREADS).output)
    theirs = json.loads(reference("passes.py", threads=THREADS).output)
    triad = ours["triad"]
    yield f"### Passes over memory: larger than the caches, the fastest of 12; the STREAM triad has {triad / 1e9:.1f} GB/s"
    yield ""
    yield "| | Graft | of the triad | beside PyTorch eager | beside torch.compile |"
    yield "|---|---:|---:|---:|---:|"
    for name, own in ours["passes"].items():
        seconds, rate = own["seconds"], own["bytes"] / own["seconds"]
        peer = theirs[name]
        yield (
            f"| {name} | {rate / 1e9:.1f} GB/s | {rate / triad:.0%} | {peer['eager'] / seconds:.1f} × | {peer['compiled'] / seconds:.1f} × |"
        )
    yield ""
    yield "Goals: 80 % of the triad, 2 × eager, 1 × compiled. Activations are bf16, the optimizer's values f32."
