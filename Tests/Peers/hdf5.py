"""Reads an HDF5 file that Graft wrote from a model directory with h5py, and compares every tensor and every file.

    hdf5.py MODEL_DIRECTORY FILE.h5
"""

import json
import pathlib
import sys

import h5py
import hdf5plugin  # registers filter 32015
import numpy
import torch
from safetensors import safe_open

directory, path = map(pathlib.Path, sys.argv[1:])
failures = []
checked = 0
with h5py.File(path, "r") as file:
    for shard in sorted(directory.glob("*.safetensors")):
        with safe_open(shard, framework="pt") as source:
            for name in source.keys():
                tensor = source.get_tensor(name)
                dataset = file[name.replace(".", "/")]
                # h5py shows bf16 as f32, which holds every value of it.
                values = torch.from_numpy(numpy.asarray(dataset[()]))
                same = torch.equal(values.to(torch.float64), tensor.to(torch.float64)) if tensor.is_floating_point() else torch.equal(values, tensor)
                if not same or tuple(dataset.shape) != tuple(tensor.shape):
                    failures.append(name)
                checked += 1
        header = shard.read_bytes()[: 8 + int.from_bytes(shard.open("rb").read(8), "little")]
        if shard.name in file.get(".shards", {}) and file[".shards"][shard.name][()].tobytes() != header:
            failures.append(f"header of {shard.name}")
    for other in sorted(p for p in directory.rglob("*") if p.is_file() and p.suffix != ".safetensors"):
        stored = file[".files"][other.relative_to(directory).as_posix()][()].tobytes()
        if stored != other.read_bytes():
            failures.append(other.name)
        checked += 1
print(json.dumps({"checked": checked, "failures": failures}))
sys.exit(bool(failures))
