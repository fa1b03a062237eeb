"""Continuing one prompt greedily, beside llama.cpp and transformers, from the same weights in bf16."""

import json
import os
import subprocess
import sys

from workspace import CACHE, GGUF, MODELS, PEERS, THREADS, graft, measure, model, reference

PROMPT, TOKENS, ROUNDS = "Once upon a time there was", 128, 5
LLAMA_CPP = "llama-cpp-python==0.3.36"
ENVIRONMENT = CACHE / "llama"


def llama_python():
    """The Python of an environment with llama.cpp, which is built from source the first time: about six minutes."""
    python, stamp = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "stamp"
    if not stamp.exists() or stamp.read_text() != LLAMA_CPP:
        print(f"building {LLAMA_CPP} in the cache directory", file=sys.stderr)
        subprocess.run([PEERS.parent.parent / ".ci" / "packages", "g++"], check=True)
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
        build = os.environ | {"CMAKE_ARGS": "-DGGML_NATIVE=ON"}
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", LLAMA_CPP], check=True, env=build)
        stamp.write_text(LLAMA_CPP)
    return python


def graft_speeds():
    for _ in range(ROUNDS):
        run = graft("generate", model("bf16"), "--prompt", PROMPT, "--max-tokens", TOKENS, "--threads", THREADS, "--json")
        result = json.loads(run.output)
        assert len(result["tokens"]) == TOKENS, "the model ended the text too early to be timed"
        yield result["tokensPerSecond"]


def llama_speeds():
    weights = MODELS / "smollm2-bf16.gguf"
    measure(sys.executable, PEERS / "reference" / "bf16_gguf.py", GGUF, weights)
    settings = {"model": str(weights), "prompt": PROMPT, "tokens": TOKENS, "rounds": ROUNDS, "threads": THREADS}
    run = measure(llama_python(), PEERS / "reference" / "llama_generate.py", json.dumps(settings))
    return json.loads(run.output)["speeds"]


def transformers_speeds():
    run = reference("generate.py", model=model("bf16"), prompt=PROMPT, tokens=TOKENS, rounds=ROUNDS, threads=THREADS)
    return json.loads(run.output)["speeds"]


def lines():
    ours, llama, peer = (max(measured) for measured in (graft_speeds(), llama_speeds(), transformers_speeds()))
    yield f"### Generation: {TOKENS} tokens after one prompt, bf16 weights: the fastest of {ROUNDS}"
    yield ""
    yield "| | tokens/s | Graft's speed to it | goal |"
    yield "|---|---:|---:|---:|"
    yield f"| Graft | {ours:.1f} | | |"
    yield f"| llama.cpp | {llama:.1f} | {ours / llama:.2f} | ≥ 0.9 |"
    yield f"| transformers | {peer:.1f} | {ours / peer:.2f} | ≥ 2 |"
