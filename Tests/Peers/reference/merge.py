"""Merges an adapter as PEFT's documentation does; the settings are one JSON object."""

import json
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

settings = json.loads(sys.argv[1])
torch.set_num_threads(settings["threads"])
base = AutoModelForCausalLM.from_pretrained(settings["model"], dtype={"f32": torch.float32, "bf16": torch.bfloat16}[settings["dtype"]])
PeftModel.from_pretrained(base, settings["adapter"]).merge_and_unload().save_pretrained(settings["output"])
