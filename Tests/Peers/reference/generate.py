"""Continues a prompt greedily with transformers; the settings are one JSON object, so is the result."""

import json
import sys
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

settings = json.loads(sys.argv[1])
count = settings["tokens"]
torch.set_num_threads(settings["threads"])
model = AutoModelForCausalLM.from_pretrained(settings["model"], dtype=torch.bfloat16)
prompt = AutoTokenizer.from_pretrained(settings["model"])(settings["prompt"], return_tensors="pt")
speeds = []
for _ in range(settings["rounds"]):
    began = time.perf_counter()
    model.generate(**prompt, min_new_tokens=count, max_new_tokens=count, do_sample=False)
    speeds.append(count / (time.perf_counter() - began))
print(json.dumps({"speeds": speeds}))
