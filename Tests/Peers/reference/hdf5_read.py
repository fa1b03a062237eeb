"""Reads every dataset of an HDF5 file with h5py and hdf5plugin, as it is stored. Setting: file. Prints the bytes."""

import json
import sys

import h5py
import hdf5plugin  # registers filter 32015
import numpy

settings = json.loads(sys.argv[1])
total = 0


def read(name: str, item) -> None:
    global total
    if isinstance(item, h5py.Dataset):
        # The stored type itself: no conversion is counted.
        array = numpy.empty(item.shape, f"V{item.id.get_type().get_size()}")
        item.id.read(h5py.h5s.ALL, h5py.h5s.ALL, array, mtype=item.id.get_type())
        total += array.nbytes


with h5py.File(settings["file"], "r") as file:
    file.visititems(read)
print(json.dumps({"byteCount": total}))
