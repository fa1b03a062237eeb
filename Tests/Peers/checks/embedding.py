"""Vectors of texts beside transformers', on all-MiniLM-L6-v2."""

import json
import os
import subprocess

import torch
from transformers import AutoModel, AutoTokenizer

from verdict import at_least, at_most
from workspace import CACHE, MODELS, PEERS, TEXT, graft, scratch

TEXTS = 200


@torch.inference_mode()
def peer_vectors(directory, texts: list[str]) -> torch.Tensor:
    """The mean over the tokens, normalized, as the model's card computes it; texts cut to 256 tokens."""
    tokenizer, model = AutoTokenizer.from_pretrained(directory), AutoModel.from_pretrained(directory, dtype=torch.float32)
    vectors = []
    for start in range(0, len(texts), 32):
        batch = tokenizer(texts[start : start + 32], padding=True, truncation=True, max_length=256, return_tensors="pt")
        hidden = model(**batch).last_hidden_state
        mask = batch["attention_mask"][:, :, None].float()
        vectors.append(torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1))
    return torch.cat(vectors)


def checks():
    subprocess.run([PEERS / "model", "minilm"], check=True, env=os.environ | {"CACHE": str(CACHE)})
    directory = MODELS / "all-MiniLM-L6-v2"
    text = (TEXT / "revelation.txt").read_text()
    lines = [line for line in text.splitlines() if line.strip()][: TEXTS - 3]
    texts = [*lines, "Größe, naïve café — 你好世界 🫠!", "x", text[:6000].replace("\n", " ")]
    data = scratch() / "texts.jsonl"
    data.write_text("".join(json.dumps({"id": str(n), "text": t}) + "\n" for n, t in enumerate(texts)))
    theirs = peer_vectors(directory, texts)
    for compute, bound in {"f32": 1e-5, "bf16": 1e-2}.items():
        output = graft("embed", directory, "--data", data, "--json", "--compute", compute, "--quiet").output
        ours = torch.tensor([json.loads(line)["vector"] for line in output.splitlines()])
        yield at_most(f"vectors of {len(texts)} texts in {compute}, largest difference from transformers", (ours - theirs).abs().max(), bound)
        yield at_least(f"vectors of {len(texts)} texts in {compute}, smallest cosine with transformers'", (ours * theirs).sum(1).min(), 1 - bound)
