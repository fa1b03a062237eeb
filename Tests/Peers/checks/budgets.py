"""Budgets of memory from the least possible to no recompute: kept to, forecast, and without a trace in the numbers."""

import json
import re
import subprocess
import time

from verdict import Verdict, all_equal, at_most
from workspace import GRAFT, TEXT, THREADS, CommandFailed, graft, model, scratch, training_log

# Enough tokens that the room for what libraries take, a few MiB, is small beside the rest.
BUDGETS, BATCH, LENGTH = 6, 4, 512


def request(verb: list, *options) -> list[str]:
    shape = ["--steps", 1, "--batch-size", BATCH, "--sequence-length", LENGTH, "--threads", THREADS]
    return [str(part) for part in [*verb, model("bf16"), "--data", TEXT / "gospels.txt", "--out", scratch() / ("budget" if verb == ["train"] else "planned"), *shape, *options]]


def forecast(*options) -> int:
    """The most that a run will hold beside mapped weights, as the plan has it."""
    return json.loads(graft(*request(["plan", "train"], *options), "--json").output)["memory"]["peakBytes"]


def trained(budget: int) -> tuple[int, list[float], bytes]:
    """The peak of RssAnon, the losses and the adapter's bytes of a run."""
    subprocess.run(["rm", "-rf", scratch() / "budget"], check=True)
    command = [str(GRAFT), *request(["train"], "--memory", budget), "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    peak = 0
    while process.poll() is None:
        with open(f"/proc/{process.pid}/status") as status:
            found = re.search(r"RssAnon:\s+(\d+)", status.read())
        peak = max(peak, int(found[1]) * 1024 if found else 0)
        time.sleep(0.002)
    if process.returncode != 0:
        raise CommandFailed(f"{' '.join(command)} ended with {process.returncode}: {process.stderr.read()}")
    return peak, [line["loss"] for line in training_log(scratch() / "budget")], (scratch() / "budget" / "adapter_model.safetensors").read_bytes()


def checks():
    least, most = (forecast("--recompute", policy) for policy in ("auto", "none"))
    # What the process holds itself differs by some pages from run to run.
    budgets = [int(1.005 * least + (most - least) * index / (BUDGETS - 1)) + 1_000_000 for index in range(BUDGETS)]
    forecasts = [forecast("--memory", budget) for budget in budgets]
    runs = [trained(budget) for budget in budgets]
    peaks = [peak for peak, _, _ in runs]
    label = f"peaks of training {BATCH} x {LENGTH} tokens within budgets of {budgets[0] / 1e6:.0f} to {budgets[-1] / 1e6:.0f} MB"
    over = [f"{peak} bytes in {budget}" for peak, budget in zip(peaks, budgets) if peak > budget]
    yield Verdict(label, f"{BUDGETS - len(over)} of {BUDGETS}" + "".join(f", {case}" for case in over[:1]), "all", not over)
    differences = [abs(found / peak - 1) for found, peak in zip(forecasts, peaks)]
    yield at_most("the forecast of the peak, relative difference from the measured one", max(differences), 0.02)
    different = [f"{budget} bytes" for budget, run in zip(budgets, runs) if run[1:] != runs[0][1:]]
    yield all_equal("losses and adapters, whatever the budget", different, BUDGETS)
