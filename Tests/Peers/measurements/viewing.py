"""Opening and listing: headers of 100,000 tensors, and a file of 1 GB, beside the Python packages."""

import json
import statistics
import struct
import subprocess
import sys

from workspace import GRAFT, measure, scratch

ROUNDS = 9
FEW = 2000

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


def seconds(*command) -> tuple[float, float]:
    """The median seconds of a whole process, and its greatest memory in MiB; the first round warms the caches."""
    runs = [measure(*command) for _ in range(ROUNDS + 1)][1:]
    return statistics.median(run.seconds for run in runs), max(run.peak_bytes for run in runs) / 2**20


def row(label, file, script):
    plain, peak = seconds(GRAFT, "inspect", file)
    as_json, json_peak = seconds(GRAFT, "inspect", file, "--json")
    listed, _ = seconds(GRAFT, "inspect", file, "--tensors")
    package, _ = seconds(sys.executable, "-c", script, file)
    return (
        f"| {label} | {plain * 1e3:,.0f} | {as_json * 1e3:,.0f} | {listed * 1e3:,.0f} | {package * 1e3:,.0f} "
        f"| {max(peak, json_peak):.0f} MiB |"
    )


def lines():
    many = list(names())
    safetensors, gguf, hdf5 = scratch() / "many.safetensors", scratch() / "many.gguf", scratch() / "many.h5"
    size = write_safetensors(safetensors, many)
    gguf_size = write_gguf(gguf, short(many))
    # Both libraries take a fraction of a millisecond for each dataset.
    few = scratch() / "few.safetensors"
    write_safetensors(few, many[:FEW])
    subprocess.run([GRAFT, "convert", few, hdf5, "--quiet"], check=True, capture_output=True)
    empty, _ = seconds(GRAFT, "--version")
    yield f"### Headers of {len(many):,} tensors ({FEW:,} in HDF5): milliseconds of the whole process, median of {ROUNDS}"
    yield ""
    yield "| | inspect | inspect --json | inspect --tensors | the package's listing | peak of Graft |"
    yield "|---|---:|---:|---:|---:|---:|"
    yield row(f"safetensors, {size / 1e6:.1f} MB of header", safetensors, SAFETENSORS)
    yield row(f"GGUF, {gguf_size / 1e6:.1f} MB of header", gguf, GGUF)
    yield row(f"HDF5, {FEW:,} tensors", hdf5, H5PY)
    yield ""
    yield f"`graft --version`, which reads nothing: {empty * 1e3:.0f} ms."
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
