"""Reads or casts a safetensors file as Python programs do; the settings are one JSON object."""

import json
import sys

import torch
from safetensors.torch import load_file, save_file

settings = json.loads(sys.argv[1])
torch.set_num_threads(settings["threads"])
tensors = load_file(settings["file"])
if settings["work"] == "check":
    # Every byte is seen, as a check for NaN and infinity sees it.
    print(all(tensor.isfinite().all().item() for tensor in tensors.values()))
elif settings["work"] == "cast":
    save_file({name: tensor.to(torch.float32) for name, tensor in tensors.items()}, settings["output"])
