"""A model directory as HDF5, read by h5py, and back; and a file of 100 GB in little memory."""

import filecmp
import json
import pathlib
import subprocess
import sys

import h5py
import numpy

from verdict import Verdict, all_equal, at_most
from workspace import PEERS, ROOT, graft, model, scratch


LARGE = 100 * 10**9


def hole(width: int = 1 << 16) -> pathlib.Path:
    """A safetensors file of 100 GB in matrices of zeros, which take no room on the disk."""
    path = scratch() / "hole.safetensors"
    rows = 1 << 14
    size = 2 * rows * width
    count = -(-LARGE // size)
    header = {
        f"model.layers.{layer}.mlp.up_proj.weight": {"dtype": "BF16", "shape": [rows, width], "data_offsets": [layer * size, (layer + 1) * size]}
        for layer in range(count)
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + count * size)
    return path


def attribute(item, name: str) -> tuple:
    """A value with all that h5py knows of its type, whatever its byte order."""
    value, kind = item.attrs[name], item.attrs.get_id(name)
    dtype = kind.dtype.newbyteorder("=")
    padding = kind.get_type().get_strpad() if kind.get_type().get_class() == h5py.h5t.STRING else None
    words = "nothing" if isinstance(value, h5py.Empty) else (numpy.asarray(value).shape, numpy.asarray(value).astype(dtype).tolist())
    return str(words), str(dtype), str(h5py.check_string_dtype(dtype)), str(h5py.check_enum_dtype(dtype)), padding


def attributes():
    """What h5py wrote beside tensors stays in HDF5: attributes with their types, and empty groups."""
    lost = ["weight_names", "color", "graft.shape", "lists", "long", "record", "reference"]
    source, file = ROOT / "Fixtures" / "golden" / "hdf5" / "attributes.h5", scratch() / "attributes.h5"
    graft("convert", source, file, "--allow-loss", "--quiet")
    different, count = [], 0
    with h5py.File(source) as before, h5py.File(file) as after:
        objects = ["/"]
        before.visit(objects.append)
        for path in objects:
            # A dataset beside a group of its name; the text of the root is metadata.
            item, copy = before[path], after.get("p/q%-" if path == "p.q" else path)
            count += 1
            if type(copy) is not type(item):
                different.append(path)
                continue
            for name in set(item.attrs) - set(lost) - ({"unit"} if path == "/" else set()):
                count += 1
                if name not in copy.attrs or attribute(item, name) != attribute(copy, name):
                    different.append(f"{name} of {path}")
    yield all_equal("attributes and groups of HDF5 out of HDF5, in h5py", different, count)


def checks():
    yield from attributes()
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

    large = hole()
    for verb, arguments in {"inspect": [large], "verify": [large], "diff": [large, large]}.items():
        run = graft(verb, *arguments, "--quiet")
        yield at_most(f"memory of {verb}, {large.stat().st_size / 1e9:.0f} GB", run.peak_bytes / 2**20, 128, " MiB")
    large.unlink()
