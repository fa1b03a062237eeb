"""Reading GloVe text, beside gensim."""

import os

import numpy

from workspace import CACHE, THREADS, graft, reference, scratch

ROUNDS = 3
WORDS, DIMENSIONS = 400_000, 300


def glove():
    """A text of as many rows and digits as the GloVe tables of that size have."""
    path = CACHE / "models" / "glove-400000x300.txt"
    if not path.exists():
        generator = numpy.random.default_rng(300)
        # Spelling the numbers anew for each row would take minutes: they are drawn from a million.
        spelled = numpy.array([f"{value:.5g}" for value in generator.standard_normal(1 << 20) * 0.4], dtype=object)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path.with_suffix(".partial"), "w") as file:
            for word in range(WORDS):
                file.write(f"word{word} {' '.join(spelled[generator.integers(0, len(spelled), DIMENSIONS)])}\n")
        os.rename(path.with_suffix(".partial"), path)
    return path


def lines():
    path, out = glove(), scratch() / "glove.safetensors"
    size = path.stat().st_size
    path.read_bytes()  # warm
    yield f"### GloVe text, {WORDS:,} × {DIMENSIONS}, {size / 1e9:.2f} GB: whole processes, the fastest of {ROUNDS}"
    yield ""
    yield "| | time | MB/s | MB/s a core | peak memory |"
    yield "|---|---:|---:|---:|---:|"
    kinds = {f"Graft, every number read (`verify`), {count} thread{'s' * (count > 1)}": (lambda count=count: graft("verify", path, "--threads", count, "--quiet"), count) for count in {1, THREADS}}
    kinds |= {f"Graft, to safetensors (`convert`), {count} thread{'s' * (count > 1)}": (lambda count=count: graft("convert", path, out, "--threads", count, "--quiet", "--overwrite"), count) for count in {1, THREADS}}
    kinds["Graft, what it is (`inspect`)"] = (lambda: graft("inspect", path), THREADS)
    kinds["gensim"] = (lambda: reference("load_vectors.py", path=path), 1)
    for name, (run, cores) in kinds.items():
        runs = [run() for _ in range(1 if name == "gensim" else ROUNDS)]
        seconds = min(each.seconds for each in runs)
        yield f"| {name} | {seconds:.2f} s | {size / seconds / 1e6:,.0f} | {size / seconds / 1e6 / cores:,.0f} | {max(each.peak_bytes for each in runs) / 2**20:.0f} MiB |"
