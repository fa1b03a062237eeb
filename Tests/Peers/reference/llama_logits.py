"""Logits of llama.cpp for given tokens, its ids of a text, and optionally its own quantization; the settings are one JSON object, so is the result."""

import ctypes
import json
import sys

import llama_cpp
import numpy

settings = json.loads(sys.argv[1])
if "quantize" in settings:
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama_cpp, "LLAMA_FTYPE_MOSTLY_" + settings["quantize"].upper())
    parameters.nthread = settings["threads"]
    code = llama_cpp.llama_model_quantize(settings["source"].encode(), settings["target"].encode(), ctypes.byref(parameters))
    assert code == 0, f"llama_model_quantize gave {code}"
model = llama_cpp.Llama(settings["model"], n_ctx=512, n_threads=settings["threads"], n_threads_batch=settings["threads"], logits_all=True, verbose=False)
ids = model.tokenize(settings["text"].encode(), add_bos=False)
model.eval(settings["ids"])
numpy.save(settings["output"], numpy.array(model.scores[: len(settings["ids"])], dtype=numpy.float32))
print(json.dumps({"ids": ids}))
