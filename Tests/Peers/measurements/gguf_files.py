"""Converting from and to GGUF, beside Python and beside what the disk takes: SmolLM2's weights."""

import os
import time

from measurements.workloads import billion
from workspace import GGUF, THREADS, graft, model, reference, scratch

ROUNDS = 5
TYPES = ["q8_0", "q4_0", "q4_1", "q5_0", "q5_1"]
SEARCHED = ["q4_k_m", "q5_k_m", "q6_k"]


def best(run, count=ROUNDS):
    """The fastest of some runs, and its greatest peak."""
    runs = [run() for _ in range(count)]
    return min(one.seconds for one in runs), max(one.peak_bytes for one in runs)


def disk_seconds(source, target: int) -> float:
    """What reading a file and writing so many bytes take alone, in a tile of memory, with the write forced to the disk as every verb forces its own."""
    path, tile = scratch() / "plain", bytearray(os.urandom(1 << 20))
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        with open(path, "wb", buffering=0) as file:
            os.posix_fallocate(file.fileno(), 0, target)
            for _ in range(target >> 20):
                file.write(tile)
            os.fsync(file.fileno())
        with open(source, "rb", buffering=0) as file:
            while file.readinto(tile):
                pass
        seconds.append(time.perf_counter() - began)
        path.unlink()
    return min(seconds)


def lines():
    yield f"### GGUF of SmolLM2-135M: whole processes, the fastest of {ROUNDS}"
    yield ""
    yield "| | Graft | peak memory | Python | its time to Graft's | goal | disk alone | Graft's share of its speed |"
    yield "|---|---:|---:|---:|---:|---|---:|---:|"
    bf16 = model("bf16")
    weights = (bf16 / "model.safetensors").stat().st_size
    target = scratch() / "out"

    def row(name, ours, theirs, source, written):
        seconds, peak = best(ours)
        disk = disk_seconds(source, written)
        peer = best(theirs, 3)[0] if theirs else None
        beside = f"{peer:.2f} s | {peer / seconds:.1f} × | ≥ 3 ×" if peer else "– | – | –"
        return f"| {name} | {seconds:.2f} s | {peak / 2**20:.0f} MiB | {beside} | {disk:.2f} s | {disk / seconds:.0%} |"

    def convert(source, *options):
        return lambda: graft("convert", source, target.with_suffix(".gguf") if options[1] not in ("bf16", "f32") or source == bf16 else target, *options, "--overwrite", "--threads", THREADS, "--quiet")

    def python(source, kind, output):
        return lambda: reference("gguf_convert.py", source=source, kind=kind, output=output, threads=THREADS)

    yield row("Q4_1 → bf16 safetensors", lambda: graft("convert", GGUF, target, "--dtype", "bf16", "--threads", THREADS, "--quiet"),
              python(GGUF, "bf16", scratch() / "python.safetensors"), GGUF, weights)
    for kind in TYPES + SEARCHED:
        ours = convert(bf16, "--dtype", kind)
        ours()
        size = target.with_suffix(".gguf").stat().st_size
        yield row(f"bf16 → {kind}", ours, python(bf16 / "model.safetensors", kind, scratch() / "python.gguf"), bf16 / "model.safetensors", size)
    large = scratch() / "large.gguf"
    graft("convert", billion(), large, "--dtype", "q4_1", "--allow-loss", "--quiet")
    yield row("Q4_1 → bf16 safetensors, 1B-parameter Llama shape", lambda: graft("convert", large, target, "--dtype", "bf16", "--threads", THREADS, "--quiet", "--overwrite"),
              None, large, (billion() / "model.safetensors").stat().st_size)
