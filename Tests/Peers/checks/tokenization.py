"""Token ids and speed beside the package `tokenizers`, which is timed on one thread in its fastest way."""

import json
import time

from tokenizers import Tokenizer

from verdict import all_equal, at_least
from workspace import ROOT, benchmarks, generator, king_james, model, scratch

MIXED_LINES = 10_500
ROUNDS = 5


def checks():
    mixed = generator("tokenization").corpus(MIXED_LINES, seed=20)
    scripture = [line for text in king_james() for line in text.read_text().splitlines()]
    smollm2 = model("f32") / "tokenizer.json"
    yield from compare("SmolLM2, King James", smollm2, scripture, timed=True)
    yield from compare("SmolLM2, mixed lines", smollm2, mixed, timed=True)
    for path in sorted((ROOT / "Fixtures" / "golden" / "tokenizers").glob("*.json")):
        yield from compare(f"{path.stem}, mixed lines", path, mixed)


def compare(name, path, lines, timed=False):
    texts = scratch() / "lines.json"
    texts.write_text(json.dumps(lines))
    ours = json.loads(benchmarks("tokenize", path, texts, ROUNDS if timed else 1).output)

    package = Tokenizer.from_file(str(path))
    seconds, encodings = [], []
    for _ in range(ROUNDS if timed else 1):
        began = time.perf_counter()
        encodings = package.encode_batch_fast(lines)
        seconds.append(time.perf_counter() - began)
    expected = [encoding.ids for encoding in encodings]
    different = [repr(line) for line, ids, found in zip(lines, expected, ours["ids"], strict=True) if ids != found]
    yield all_equal(f"token ids, {name}", different, len(lines))
    if timed:
        yield at_least(f"tokenizing speed, {name}", min(seconds) / ours["seconds"], 1, " times the package's")
