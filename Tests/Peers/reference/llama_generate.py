"""Continues a prompt greedily with llama.cpp; the settings are one JSON object, so is the result."""

import json
import sys
import time

from llama_cpp import Llama

settings = json.loads(sys.argv[1])
count, threads = settings["tokens"], settings["threads"]
model = Llama(settings["model"], n_ctx=512, n_threads=threads, n_threads_batch=threads, verbose=False)
prompt = model.tokenize(settings["prompt"].encode(), add_bos=False)
speeds = []
for _ in range(settings["rounds"]):
    model.reset()
    tokens = model.generate(prompt, temp=0, top_k=1)
    next(tokens)  # the prompt
    began = time.perf_counter()
    for _ in range(count):
        next(tokens)
    speeds.append(count / (time.perf_counter() - began))
print(json.dumps({"speeds": speeds}))
