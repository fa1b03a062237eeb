"""Merging an adapter, beside PEFT."""

from measurements.training import adapter
from workspace import THREADS, graft, model, reference, scratch

ROUNDS = 5


def lines():
    yield f"### Merging that adapter: whole processes, the fastest of {ROUNDS}"
    yield ""
    yield "| | time | peak memory |"
    yield "|---|---:|---:|"
    for dtype in ("bf16", "f32"):
        directory = model(dtype)
        output = scratch() / "merged"
        kinds = {
            "Graft": lambda: graft("merge", directory, adapter(), "--out", output, "--threads", THREADS, "--quiet"),
            "PEFT": lambda: reference("merge.py", model=directory, adapter=adapter(), output=output, dtype=dtype, threads=THREADS),
        }
        for name, merge in kinds.items():
            runs = [merge() for _ in range(ROUNDS)]
            yield f"| {name}, {dtype} | {min(run.seconds for run in runs):.2f} s | {max(run.peak_bytes for run in runs) / 2**20:.0f} MiB |"
