"""to_safetensors.py SETTINGS: what people do with a `.bin` today: `torch.load`, then safetensors' `save_file`."""

import json
import sys

import torch
from safetensors.torch import save_file

settings = json.loads(sys.argv[1])
torch.set_num_threads(settings["threads"])
state = torch.load(settings["source"], weights_only=True, map_location="cpu", mmap=settings["mmap"])
save_file(state, settings["target"], {"format": "pt"})
