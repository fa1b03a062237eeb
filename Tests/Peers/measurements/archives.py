"""PyTorch's files to safetensors, beside torch.load and safetensors' save_file."""

import torch
from workspace import THREADS, graft, reference, scratch

ROUNDS = 5


def checkpoint():
    """A file of about a gigabyte: a decoder's bf16 matrices, as torch.save writes them."""
    path = scratch() / "model.bin"
    if not path.exists():
        random = torch.Generator().manual_seed(1)
        block = torch.randn(2048, 8192, generator=random).to(torch.bfloat16)
        state = {f"model.layers.{i}.{name}.weight": (block + i).clone() for i in range(8) for name in ("up", "gate", "down", "attention")}
        torch.save(state, path)
    return path


def lines():
    source = checkpoint()
    size = source.stat().st_size
    yield f"### A PyTorch file of {size / 1e9:.2f} GB as safetensors: whole processes, warm cache, the fastest of {ROUNDS}"
    yield ""
    yield "Graft compares the checksum of every record on the way; torch doesn't."
    yield ""
    yield "| | time | peak memory |"
    yield "|---|---:|---:|"
    target = scratch() / "model.safetensors"
    kinds = {
        "Graft": lambda: graft("convert", source, target, "--threads", THREADS, "--quiet"),
        "torch.load and save_file": lambda: reference("to_safetensors.py", source=source, target=target, threads=THREADS, mmap=False),
        "torch.load(mmap=True) and save_file": lambda: reference("to_safetensors.py", source=source, target=target, threads=THREADS, mmap=True),
    }
    runs = {name: [] for name in kinds}
    for _ in range(ROUNDS):
        for name, convert in kinds.items():
            target.unlink(missing_ok=True)
            runs[name].append(convert())
    for name, done in runs.items():
        yield f"| {name} | {min(run.seconds for run in done):.2f} s | {max(run.peak_bytes for run in done) / 2**20:.0f} MiB |"
    ratio = min(run.seconds for run in runs["torch.load and save_file"]) / min(run.seconds for run in runs["Graft"])
    yield ""
    yield f"Graft is {ratio:.1f} times as fast as torch.load and save_file."
