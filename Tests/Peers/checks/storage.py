"""A model directory as HDF5, read by h5py, and back."""

import filecmp
import json
import subprocess
import sys

from verdict import Verdict, all_equal, at_most
from workspace import PEERS, graft, model, scratch


def checks():
    for label, options in {"plain": [], "zstd": ["--compress", "zstd"]}.items():
        file, back = scratch() / f"model-{label}.h5", scratch() / f"back-{label}"
        writing = graft("convert", model("bf16"), file, "--to", "hdf5", *options, "--quiet")
        reading = graft("convert", file, back, "--quiet")
        done = subprocess.run([sys.executable, PEERS / "hdf5.py", model("bf16"), file], capture_output=True, text=True)
        report = json.loads(done.stdout) if done.stdout.startswith("{") else {"failures": [done.stderr[-200:]], "checked": 1}
        yield all_equal(f"tensors and files in h5py, {label}", report["failures"], report["checked"])
        names = sorted(path.relative_to(model("bf16")).as_posix() for path in model("bf16").rglob("*") if path.is_file())
        _, different, missing = filecmp.cmpfiles(model("bf16"), back, names, shallow=False)
        yield all_equal(f"directory to HDF5 to directory, {label}", different + missing, len(names))
        yield at_most(f"memory of writing and reading HDF5, {label}", max(writing.peak_bytes, reading.peak_bytes) / 2**20, 128, " MiB")

    comparison = graft("diff", model("bf16"), scratch() / "model-plain.h5", "--json", "--quiet")
    yield Verdict("diff of directory and HDF5", "no difference", "status 0", bool(json.loads(comparison.output)))
    yield at_most("memory of diff", comparison.peak_bytes / 2**20, 128, " MiB")
