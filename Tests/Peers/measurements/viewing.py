"""Opening and listing: headers of 100,000 tensors in every format, and a file of 1 GB, beside the Python packages."""

import json
import statistics
import struct
import sys
import zipfile

from workspace import GRAFT, measure, scratch

ROUNDS = 9
# What takes longer than this is run once.
LONG = 2.0

SAFETENSORS = """
import sys
from safetensors import safe_open
with safe_open(sys.argv[1], "numpy") as file:
    for name in file.keys():
        part = file.get_slice(name)
        print(name, part.get_dtype(), part.get_shape())
"""
GGUF = """
import sys
from gguf import GGUFReader
for tensor in GGUFReader(sys.argv[1]).tensors:
    print(tensor.name, tensor.tensor_type.name, tensor.shape)
"""
H5PY = """
import sys
import h5py
def show(name, item):
    if isinstance(item, h5py.Dataset):
        print(name, item.dtype, item.shape)
with h5py.File(sys.argv[1]) as file:
    file.visititems(show)
"""

NUMPY = """
import sys
import numpy
with numpy.load(sys.argv[1]) as file:
    for name in file.files:
        print(name, file[name].dtype, file[name].shape)
"""
TORCH = """
import sys
import torch
for name, tensor in torch.load(sys.argv[1], weights_only=True, mmap=True).items():
    print(name, tensor.dtype, tuple(tensor.shape))
"""


def names():
    """100,000 names as of a mixture of experts, and shapes of a few elements."""
    for layer in range(50):
        for expert in range(500):
            for part, shape in (("gate_proj", [2, 4]), ("up_proj", [2, 4]), ("down_proj", [4, 2]), ("norm", [2])):
                yield f"model.layers.{layer}.mlp.experts.{expert}.{part}.weight", shape


def write_safetensors(path, tensors, dtype="BF16", width=2):
    """A header with its tensors in the order of their names, and data that take no room on the disk."""
    header, at = {}, 0
    for name, shape in sorted(tensors):
        size = width
        for extent in shape:
            size *= extent
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)
    return len(text)


def write_gguf(path, tensors):
    """The same tensors as F32, by hand: the package takes minutes for so many."""
    text, at = b"", 0
    count = 0
    for name, shape in tensors:
        size = 4
        for extent in shape:
            size *= extent
        text += struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", len(shape))
        text += struct.pack(f"<{len(shape)}Q", *reversed(shape)) + struct.pack("<IQ", 0, at)
        at += -(-size // 32) * 32
        count += 1
    text = struct.pack("<4sIQQ", b"GGUF", 3, count, 0) + text
    text += bytes(-len(text) % 32)
    with open(path, "wb") as file:
        file.write(text)
        file.truncate(len(text) + at)
    return len(text)


def short(tensors):
    """Names of at most 64 bytes, which GGUF allows."""
    for name, shape in tensors:
        yield name.replace("model.layers", "blk"), shape


def write_keras(path, weights):
    """An archive of Keras around weights in its layout; nothing is computed with the model, so it has no layers."""
    model = {"module": "keras", "class_name": "Sequential", "config": {"name": "many", "layers": []}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
        archive.writestr("config.json", json.dumps(model))
        archive.write(weights, "model.weights.h5")


def seconds(*command) -> tuple[float, float]:
    """The median seconds of a whole process, and its greatest memory in MiB; the first round warms the caches."""
    runs = [measure(*command)]
    if runs[0].seconds < LONG:
        runs = [measure(*command) for _ in range(ROUNDS)]
    return statistics.median(run.seconds for run in runs), max(run.peak_bytes for run in runs) / 2**20


def row(label, file, script=None):
    plain, peak = seconds(GRAFT, "inspect", file)
    as_json, json_peak = seconds(GRAFT, "inspect", file, "--json")
    listed, _ = seconds(GRAFT, "inspect", file, "--tensors")
    package = f"{seconds(sys.executable, '-c', script, file)[0] * 1e3:,.0f}" if script else "–"
    return (
        f"| {label} | {plain * 1e3:,.0f} | {as_json * 1e3:,.0f} | {listed * 1e3:,.0f} | {package} "
        f"| {max(peak, json_peak):.0f} MiB |"
    )


def lines():
    many = list(names())
    folder = scratch()
    safetensors, gguf = folder / "many.safetensors", folder / "many.gguf"
    size = write_safetensors(safetensors, many)
    gguf_size = write_gguf(gguf, short(many))
    # NumPy has no bf16. The other files are Graft's own conversions, and the table has what those took.
    plain = folder / "plain.safetensors"
    write_safetensors(plain, many, "F32", 4)
    made = {}
    for name, options in {
        "many.h5": [],
        "many.weights.h5": [],
        "legacy.h5": ["--to", "keras"],
        "many.npz": [],
        "many.pt": [],
    }.items():
        made[name] = measure(GRAFT, "convert", plain, folder / name, *options, "--quiet")
    archive = folder / "many.keras"
    write_keras(archive, folder / "many.weights.h5")
    empty, _ = seconds(GRAFT, "--version")
    yield f"### Headers of {len(many):,} tensors: milliseconds of the whole process, median of {ROUNDS}, once where it takes seconds"
    yield ""
    yield "| | inspect | inspect --json | inspect --tensors | the package's listing | peak of Graft |"
    yield "|---|---:|---:|---:|---:|---:|"
    yield row(f"safetensors, {size / 1e6:.1f} MB of header", safetensors, SAFETENSORS)
    yield row(f"GGUF, {gguf_size / 1e6:.1f} MB of header", gguf, GGUF)
    yield row("HDF5", folder / "many.h5", H5PY)
    yield row("HDF5, Keras 3's layout", folder / "many.weights.h5")
    yield row("HDF5, Keras's legacy layout", folder / "legacy.h5")
    yield row("Keras's archive", archive)
    yield row("NumPy's archive", folder / "many.npz", NUMPY)
    yield row("PyTorch's archive", folder / "many.pt", TORCH)
    yield ""
    yield f"`graft --version`, which reads nothing: {empty * 1e3:.0f} ms."
    yield ""
    yield f"### Conversions of {len(many):,} tensors of a few elements from safetensors: whole processes, once"
    yield ""
    yield "| | time | peak memory |"
    yield "|---|---:|---:|"
    labels = ["HDF5", "HDF5, Keras 3's layout", "HDF5, Keras's legacy layout", "NumPy's archive", "PyTorch's archive"]
    for label, run in zip(labels, made.values()):
        yield f"| {label} | {run.seconds:.2f} s | {run.peak_bytes / 2**20:.0f} MiB |"
    yield ""
    model = scratch() / "gigabyte.safetensors"
    shapes = [("model.embed_tokens.weight", [32000, 2048])]
    for layer in range(20):
        prefix = f"model.layers.{layer}."
        shapes += [(f"{prefix}self_attn.{name}.weight", [2048, 2048]) for name in ("q_proj", "o_proj")]
        shapes += [(f"{prefix}self_attn.{name}.weight", [256, 2048]) for name in ("k_proj", "v_proj")]
        shapes += [(f"{prefix}mlp.{name}.weight", [2048, 2048]) for name in ("gate_proj", "up_proj", "down_proj")]
        shapes += [(f"{prefix}{name}.weight", [2048]) for name in ("input_layernorm", "post_attention_layernorm")]
    write_safetensors(model, shapes)
    ours, peak = seconds(GRAFT, "inspect", model, "--tensors")
    package, _ = seconds(sys.executable, "-c", SAFETENSORS, model)
    yield f"### Opening and listing a safetensors file of {model.stat().st_size / 1e9:.2f} GB: the whole process, median of {ROUNDS}"
    yield ""
    yield "| | ms | ratio |"
    yield "|---|---:|---:|"
    yield f"| graft inspect --tensors, {peak:.0f} MiB | {ours * 1e3:.0f} | {ours / package:.2f} |"
    yield f"| Python, safetensors with NumPy | {package * 1e3:.0f} | 1 |"
