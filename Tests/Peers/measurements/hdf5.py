"""HDF5 with zstd, beside h5py and hdf5plugin."""

from workspace import THREADS, graft, model, reference, scratch

ROUNDS = 5
LEVEL = 3


def lines():
    yield f"### HDF5 with zstd: whole processes, the fastest of {ROUNDS}"
    yield ""
    yield f"SmolLM2's directory to one file (shuffled, zstd level {LEVEL}), and every byte of that file back: h5py into arrays, Graft by `verify`, which looks at each value for NaN and infinity too."
    yield ""
    yield "| | time | speed | beside Graft | file | peak memory |"
    yield "|---|---:|---:|---:|---:|---:|"
    for dtype in ("bf16", "f32"):
        directory = model(dtype)
        size = sum(path.stat().st_size for path in directory.glob("*.safetensors"))
        ours, same, own = (scratch() / f"{name}-{dtype}.h5" for name in ("graft", "same", "own"))
        writing = {
            "Graft": (ours, lambda: graft("convert", directory, ours, "--compress", f"zstd:{LEVEL}", "--threads", THREADS, "--quiet")),
            "h5py + hdf5plugin, the same chunks": (same, lambda: reference("hdf5_write.py", model=directory, output=same, level=LEVEL, chunks="1 MiB")),
            "h5py + hdf5plugin, its own chunks": (own, lambda: reference("hdf5_write.py", model=directory, output=own, level=LEVEL, chunks="auto")),
        }
        yield from table(f"write {dtype}", writing, size)
        reading = {
            "Graft": (ours, lambda: graft("verify", ours, "--threads", THREADS, "--quiet")),
            "h5py + hdf5plugin": (ours, lambda: reference("hdf5_read.py", file=ours)),
        }
        yield from table(f"read {dtype}", reading, size)


def table(task: str, kinds: dict, size: int):
    # The kinds take turns, so that a slow minute of the machine is everyone's.
    runs = {name: [] for name in kinds}
    for _ in range(ROUNDS):
        for name, (_, run) in kinds.items():
            runs[name].append(run())
    best = {name: min(run.seconds for run in done) for name, done in runs.items()}
    for name, done in runs.items():
        ratio = "" if name == "Graft" else f"{best[name] / best['Graft']:.2f} × the time"
        file = kinds[name][0].stat().st_size
        yield f"| {task}: {name} | {best[name]:.2f} s | {size / best[name] / 1e6:.0f} MB/s | {ratio} | {file / 1e6:.0f} MB | {max(run.peak_bytes for run in done) / 2**20:.0f} MiB |"
