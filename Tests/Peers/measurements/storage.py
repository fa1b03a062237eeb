"""Reading, cutting into shards and casting a safetensors file of one gigabyte, beside Python, `cp` and the disk itself."""

import os
import shutil
import time

from checks.storage import hole
from workspace import CACHE, THREADS, Measured, graft, measure, reference, scratch

ROUNDS = 5
FILE = CACHE / "storage.safetensors"
LAYERS, WIDTH = 32, 1024


def material() -> str:
    """A model of random bf16 weights in the shapes of a Llama; made once."""
    if not FILE.exists():
        import torch
        from safetensors.torch import save_file

        torch.manual_seed(1)
        shapes = {"q": (WIDTH, WIDTH), "k": (WIDTH // 4, WIDTH), "v": (WIDTH // 4, WIDTH), "o": (WIDTH, WIDTH)}
        shapes |= {"gate": (4 * WIDTH, WIDTH), "up": (4 * WIDTH, WIDTH), "down": (WIDTH, 4 * WIDTH)}
        weights = {f"layers.{layer}.{name}.weight": torch.randn(shape).to(torch.bfloat16) for layer in range(LAYERS) for name, shape in shapes.items()}
        save_file(weights, FILE)
    return str(FILE)


def removed(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def written(size: int) -> float:
    """Seconds in which the disk takes so many bytes, written plainly and synced."""
    path, block = scratch() / "plain", bytes(1 << 24)
    began = time.monotonic()
    with open(path, "wb", buffering=0) as file:
        for _ in range(size // len(block)):
            file.write(block)
        os.fsync(file.fileno())
    seconds = time.monotonic() - began
    removed(path)
    return seconds


def fastest(*contenders) -> list[Measured]:
    """The fastest run of each, in turn, with the largest of its peaks; what a run wrote goes before the next one."""
    output = scratch() / "written"
    best: list[Measured | None] = [None] * len(contenders)
    for _ in range(ROUNDS):
        for index, contender in enumerate(contenders):
            run = contender(output)
            removed(output)
            known = best[index] or run
            best[index] = Measured(run.output, min(run.seconds, known.seconds), max(run.peak_bytes, known.peak_bytes))
    return best


def lines():
    source = material()
    size = FILE.stat().st_size
    yield f"### A safetensors file of {size / 1e9:.2f} GB in the system's cache: whole processes, the fastest of {ROUNDS}"
    yield ""
    yield "| | Graft | peak memory | the other | peak memory | ratio | goal |"
    yield "|---|---:|---:|---:|---:|---:|---:|"

    def row(what: str, ours: Measured, theirs: Measured, goal: str, faster: bool) -> str:
        ratio = theirs.seconds / ours.seconds if faster else ours.seconds / theirs.seconds
        peaks = [f"{run.peak_bytes / 2**20:.0f} MiB" if run.peak_bytes else "" for run in (ours, theirs)]
        return f"| {what} | {ours.seconds:.2f} s | {peaks[0]} | {theirs.seconds:.2f} s | {peaks[1]} | {ratio:.2f} | {goal} |"

    def peer(work: str):
        return lambda output: reference("tensors.py", file=source, work=work, output=output, threads=THREADS)

    verify, load, check = fastest(lambda _: graft("verify", source, "--threads", THREADS), peer("load"), peer("check"))
    yield row("every byte read and checked for NaN and infinity; `safetensors.torch.load_file`", verify, load, "≥ 2 × as fast", True)
    yield row("the same; `load_file` and `isfinite`", verify, check, "", True)
    shards, copy, synced = fastest(
        lambda output: graft("convert", source, output, "--max-shard-size", "200MB", "--quiet", "--threads", THREADS),
        lambda output: measure("cp", source, output),
        lambda output: measure("sh", "-c", 'cp "$1" "$2" && sync "$2"', "sh", source, output),
    )
    yield row("to shards of 200 MB, synced; `cp`, not synced", shards, copy, "≤ 1.2 ×", False)
    yield row("the same; `cp` and `sync`", shards, synced, "", False)
    cast, python, disk = fastest(
        lambda output: graft("convert", source, output, "--to", "safetensors", "--dtype", "f32", "--quiet", "--threads", THREADS),
        peer("cast"),
        lambda output: Measured("", written(2 * size), 0),
    )
    yield row("bf16 → f32, synced; `load_file`, `to`, `save_file`", cast, python, "≥ 3 × as fast", True)
    yield row("the same; the disk alone takes as many bytes, synced", cast, disk, "≥ 0.8 of its rate", True)

    large = hole()
    size = large.stat().st_size
    yield ""
    yield f"A file of {size / 1e9:.0f} GB, whose zeros take no room on the disk (goal: at most 128 MiB):"
    yield ""
    yield "| | time | GB/s | peak memory |"
    yield "|---|---:|---:|---:|"
    target = scratch() / "written.h5"
    for what, arguments in {
        "inspect": ["inspect", large],
        "verify": ["verify", large, "--threads", THREADS, "--quiet"],
        "diff with itself": ["diff", large, large, "--threads", THREADS, "--quiet"],
        "convert to f16 in HDF5 with zstd": ["convert", large, target, "--dtype", "f16", "--compress", "zstd:1", "--threads", THREADS, "--quiet"],
    }.items():
        run = graft(*arguments)
        yield f"| {what} | {run.seconds:.2f} s | {size / run.seconds / 1e9:.1f} | {run.peak_bytes / 2**20:.0f} MiB |"
    large.unlink()
