"""Measures training and merging beside the peers, in one run, and writes the table into Manual/Benchmarks.md.

    bench.py [--full]

--full adds the slow rows: PyTorch in f32, eager and compiled.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time

import workspace
from workspace import ROOT, THREADS, Measured, benchmarks, graft, king_james, model, reference, scratch, tokens, training_log

PAGE = ROOT / "Manual" / "Benchmarks.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
BATCH, LENGTH, RATE = 4, 512, 1e-3
STEPS, PEER_STEPS, WARM_UP = 8, 6, 2
KING_JAMES_STEPS = 48
MERGE_ROUNDS = 5
PACKAGES = ["torch", "transformers", "peft", "tokenizers"]


# ---------------------------------------------------------------------------------------------------------------------
# Training


def graft_training(compute: str) -> dict:
    output = scratch() / f"speed-{compute}"
    run = graft(
        "train", model("bf16" if compute == "bf16" else "f32"), "--data", king_james()[0], "--out", output, "--rank", 8, "--alpha", 32,
        "--target-modules", "q_proj,v_proj", "--batch-size", BATCH, "--sequence-length", LENGTH, "--steps", STEPS,
        "--learning-rate", RATE, "--compute", compute, "--threads", THREADS, "--quiet",
    )  # fmt: skip
    return training_row(run, [BATCH * LENGTH / record["tokensPerSecond"] for record in training_log(output)])


def peer_training(dtype: str, compiles: bool) -> dict:
    ids = scratch() / "speed-ids.json"
    if not ids.exists():
        ids.write_text(json.dumps(tokens(king_james()[1])[: BATCH * LENGTH * PEER_STEPS]))
    run = reference(
        "train.py", model=model(dtype), ids=ids, dtype=dtype, steps=PEER_STEPS, batch_size=BATCH, sequence_length=LENGTH,
        learning_rate=RATE, schedule_steps=KING_JAMES_STEPS, threads=THREADS, compiles=compiles,
    )  # fmt: skip
    return training_row(run, json.loads(run.output)["seconds"])


def training_row(run: Measured, steps: list[float]) -> dict:
    """Speed is the median of the steps after the first ones; the time to the first step's end is what the later steps leave over."""
    return {
        "tokens per second": BATCH * LENGTH / statistics.median(steps[WARM_UP:]),
        "first step begins": run.seconds - sum(steps),
        "first step ends": run.seconds - sum(steps[1:]),
        "peak": run.peak_bytes / 2**20,
    }


def training(full: bool):
    rows = {
        "Graft, bf16": lambda: graft_training("bf16"),
        "Graft, f32": lambda: graft_training("f32"),
        "PyTorch + PEFT, bf16, torch.compile": lambda: peer_training("bf16", True),
        "PyTorch + PEFT, bf16": lambda: peer_training("bf16", False),
    }
    if full:
        rows["PyTorch + PEFT, f32, torch.compile"] = lambda: peer_training("f32", True)
        rows["PyTorch + PEFT, f32"] = lambda: peer_training("f32", False)
    yield f"### Training: r = 8 on q_proj and v_proj, {BATCH} × {LENGTH} tokens a step"
    yield ""
    yield "| | tokens/s | first step begins after | first step ends after | peak memory |"
    yield "|---|---:|---:|---:|---:|"
    for name, measured in rows.items():
        row = measured()
        yield (
            f"| {name} | {row['tokens per second']:.0f} | {row['first step begins']:.1f} s | {row['first step ends']:.1f} s | {row['peak']:.0f} MiB |"
        )


# ---------------------------------------------------------------------------------------------------------------------
# Merging and tokenizing


def merging():
    adapter = scratch() / "speed-bf16"  # from `training`
    yield f"### Merging that adapter: whole processes, the fastest of {MERGE_ROUNDS}"
    yield ""
    yield "| | time | peak memory |"
    yield "|---|---:|---:|"
    for dtype in ("bf16", "f32"):
        directory = model(dtype)
        output = scratch() / "merged"
        kinds = {
            "Graft": lambda: graft("merge", directory, adapter, "--out", output, "--threads", THREADS, "--quiet"),
            "PEFT": lambda: reference("merge.py", model=directory, adapter=adapter, output=output, dtype=dtype, threads=THREADS),
        }
        for name, merge in kinds.items():
            runs = [merge() for _ in range(MERGE_ROUNDS)]
            yield f"| {name}, {dtype} | {min(run.seconds for run in runs):.2f} s | {max(run.peak_bytes for run in runs) / 2**20:.0f} MiB |"


def tokenizing():
    from tokenizers import Tokenizer

    lines = king_james()[0].read_text().splitlines()
    texts = scratch() / "lines.json"
    texts.write_text(json.dumps(lines))
    path = model("f32") / "tokenizer.json"
    ours = json.loads(benchmarks("tokenize", path, texts, MERGE_ROUNDS).output)
    package = Tokenizer.from_file(str(path))
    seconds = []
    for _ in range(MERGE_ROUNDS):
        began = time.perf_counter()
        package.encode_batch_fast(lines)
        seconds.append(time.perf_counter() - began)
    count = sum(len(ids) for ids in ours["ids"])
    yield f"### Tokenizing {len(lines):,} verses on one thread: the fastest of {MERGE_ROUNDS}"
    yield ""
    yield "| | tokens/s |"
    yield "|---|---:|"
    yield f"| Graft | {count / ours['seconds']:,.0f} |"
    yield f"| tokenizers | {count / min(seconds):,.0f} |"


# ---------------------------------------------------------------------------------------------------------------------
# The King James text


def scripture():
    before, revelation = king_james()
    adapter = scratch() / "king-james"
    options = ["--compute", "bf16", "--threads", THREADS, "--quiet"]

    def loss(*extra):
        run = graft("evaluate", model("bf16"), "--data", revelation, "--sequence-length", LENGTH, "--json", *options, *extra)
        return json.loads(run.output)["loss"]

    start = loss()
    run = graft(
        "train", model("bf16"), "--data", before, "--out", adapter, "--batch-size", BATCH, "--sequence-length", LENGTH,
        "--steps", KING_JAMES_STEPS, "--learning-rate", RATE, *options,
    )  # fmt: skip
    end = loss("--adapter", adapter)
    yield f"### The King James text without Revelation: {KING_JAMES_STEPS} steps at {RATE:g}, bf16"
    yield ""
    yield "| time | peak memory | loss on Revelation before | after | fall |"
    yield "|---:|---:|---:|---:|---:|"
    yield f"| {run.seconds:.0f} s | {run.peak_bytes / 2**20:.0f} MiB | {start:.3f} | {end:.3f} | {start - end:.3f} |"


# ---------------------------------------------------------------------------------------------------------------------
# The page


def provenance():
    from importlib.metadata import version

    processor = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    features = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in open("/proc/cpuinfo").read()]
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    command = "make bench" + (" BENCH=--full" if "--full" in sys.argv else "")
    yield f"`{command}`, {datetime.date.today().isoformat()}, commit {commit or 'unknown'}. {processor} ({', '.join(features)}), {THREADS} threads for all."
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    yield f"{graft('--version').output.strip()}; Python {platform.python_version()}, {versions}."
    yield f"Model: SmolLM2-135M-Instruct, converted from {workspace.GGUF.name}."


def publish(text: str):
    page = PAGE.read_text() if PAGE.exists() else f"# Benchmarks\n\n{BEGIN}\n{END}\n"
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(f"{head}{BEGIN}\n{text}{END}{tail}")


def main():
    parser = argparse.ArgumentParser(description="Measure Graft beside its peers.")
    parser.add_argument("--full", action="store_true", help="add the slow rows")
    arguments = parser.parse_args()
    # A cache of earlier compilations would hide the time that they take.
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(scratch() / "inductor")
    lines = []
    for part in (provenance(), training(arguments.full), merging(), tokenizing(), scripture()):
        for line in [*part, ""]:
            print(line, flush=True)
            lines.append(line)
    publish("\n".join(lines))


if __name__ == "__main__":
    main()
