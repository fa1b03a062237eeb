"""Writes the tensors of safetensors files to HDF5 with h5py and hdf5plugin: shuffled, zstd, in chunks of a given or of h5py's own shape.

Settings: model, output, level, chunks ("1 MiB" cuts as Graft does, "auto" leaves it to h5py).
"""

import json
import pathlib
import sys

import h5py
import hdf5plugin
import numpy

settings = json.loads(sys.argv[1])
TYPES = {"F32": "float32", "F16": "float16", "BF16": "uint16", "I64": "int64", "U8": "uint8"}


def chunk(shape: list[int], width: int) -> tuple[int, ...]:
    """Whole inner axes up to a MiB."""
    result, room = [1] * len(shape), (1 << 20) // width
    for axis in reversed(range(len(shape))):
        pieces = -(-shape[axis] // room)
        result[axis] = -(-shape[axis] // pieces)
        if pieces > 1:
            break
        room = max(1, room // shape[axis])
    return tuple(result)


with h5py.File(settings["output"], "w") as file:
    for path in sorted(pathlib.Path(settings["model"]).glob("*.safetensors")):
        data = numpy.memmap(path, "uint8", "r")
        start = 8 + int.from_bytes(data[:8].tobytes(), "little")
        for name, tensor in json.loads(data[8:start].tobytes()).items():
            if name == "__metadata__":
                continue
            first, last = tensor["data_offsets"]
            array = data[start + first:start + last].view(TYPES[tensor["dtype"]]).reshape(tensor["shape"])
            chunks = chunk(tensor["shape"], array.itemsize) if settings["chunks"] == "1 MiB" else True
            file.create_dataset(name.replace(".", "/"), data=array, chunks=chunks, shuffle=True, **hdf5plugin.Zstd(clevel=settings["level"]))
