"""Tokenizing text, beside the tokenizers package."""

import json
import time

from workspace import benchmarks, king_james, model, scratch

ROUNDS = 5


def lines():
    from tokenizers import Tokenizer

    verses = king_james()[0].read_text().splitlines()
    texts = scratch() / "lines.json"
    texts.write_text(json.dumps(verses))
    path = model("f32") / "tokenizer.json"
    ours = json.loads(benchmarks("tokenize", path, texts, ROUNDS).output)
    package = Tokenizer.from_file(str(path))
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        package.encode_batch_fast(verses)
        seconds.append(time.perf_counter() - began)
    count = sum(len(ids) for ids in ours["ids"])
    yield f"### Tokenizing {len(verses):,} verses on one thread: the fastest of {ROUNDS}"
    yield ""
    yield "| | tokens/s |"
    yield "|---|---:|"
    yield f"| Graft | {count / ours['seconds']:,.0f} |"
    yield f"| tokenizers | {count / min(seconds):,.0f} |"
