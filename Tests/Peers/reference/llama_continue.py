"""Continues given tokens greedily with llama.cpp, from the package `xllamacpp`; settings are one JSON object, so is the result: the ids, and of the first token the 20 likeliest."""

import json
import os
import sys

results = os.dup(1)
os.dup2(2, 1)  # llama.cpp's own messages

import xllamacpp

settings = json.loads(sys.argv[1])
parameters = xllamacpp.CommonParams()
parameters.model.path = settings["model"]
parameters.n_ctx = 512
parameters.n_parallel = 1
parameters.warmup = False
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = settings["threads"]
answer = xllamacpp.Server(parameters).handle_completions(
    {"prompt": settings["prompt"], "n_predict": settings["count"], "temperature": 0, "top_k": 1, "n_probs": 20, "ignore_eos": True, "cache_prompt": False})
answer = answer if isinstance(answer, dict) else json.loads(answer)
tokens = answer["choices"][0]["logprobs"]["content"]
told = {"ids": [token["id"] for token in tokens], "first": [[one["id"], one["logprob"]] for one in tokens[0]["top_logprobs"]]}
os.write(results, json.dumps(told).encode())
os._exit(0)  # the server's threads have no end
