"""A run over the King James text without Revelation, judged on Revelation."""

import json

from workspace import THREADS, graft, king_james, model, scratch

BATCH, LENGTH, RATE, STEPS = 4, 512, 1e-3, 48


def lines():
    before, revelation = king_james()
    adapter = scratch() / "king-james"
    options = ["--compute", "bf16", "--threads", THREADS, "--quiet"]

    def loss(*extra):
        run = graft("evaluate", model("bf16"), "--data", revelation, "--sequence-length", LENGTH, "--json", *options, *extra)
        return json.loads(run.output)["loss"]

    start = loss()
    run = graft(
        "train", model("bf16"), "--data", before, "--out", adapter, "--batch-size", BATCH, "--sequence-length", LENGTH,
        "--steps", STEPS, "--learning-rate", RATE, *options,
    )  # fmt: skip
    end = loss("--adapter", adapter)
    yield f"### The King James text without Revelation: {STEPS} steps at {RATE:g}, bf16"
    yield ""
    yield "| time | peak memory | loss on Revelation before | after | fall |"
    yield "|---:|---:|---:|---:|---:|"
    yield f"| {run.seconds:.0f} s | {run.peak_bytes / 2**20:.0f} MiB | {start:.3f} | {end:.3f} | {start - end:.3f} |"
