"""Measures Graft beside its peers, topic by topic, and writes the tables into Manual/Benchmarks.md.

    bench.py [TOPIC…]

A topic is a file of `measurements/`; without one, all run. Only the sections of the topics that ran are written anew, each
with the date, commit and processor of its run: within a section, all figures are from one run.
"""

import datetime
import importlib
import itertools
import os
import platform
import re
import subprocess
import sys

import workspace  # first: sets the environment that the peers read when they are imported
from workspace import ROOT, THREADS, graft, scratch

PAGE = ROOT / "Manual" / "Benchmarks.md"
TOPICS = ["training", "workloads", "recompute", "kernels", "attention", "generation", "merging", "tokenizing", "scripture", "storage", "viewing", "gguf_files", "hdf5", "vectors", "archives"]
PACKAGES = ["torch", "transformers", "peft", "tokenizers", "h5py", "hdf5plugin"]


def processor() -> str:
    information = open("/proc/cpuinfo").read()
    name = next(line.split(":")[1].strip() for line in information.splitlines() if line.startswith("model name"))
    features = [feature for feature in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if feature in information]
    return f"{name} ({', '.join(features)})"


def programs() -> str:
    from importlib.metadata import version

    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{THREADS} threads for all. {graft('--version').output.strip()}; Python {platform.python_version()}, {versions}."


def provenance(topic: str) -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    # Sections that were measured before this one change the page.
    others = git("status", "--porcelain", "--untracked-files=no", "--", ".", f":!{PAGE.relative_to(ROOT)}")
    commit = (git("rev-parse", "--short", "HEAD") or "unknown") + ("-dirty" if others else "")
    return f"`make bench BENCH={topic}`, {datetime.date.today().isoformat()}, commit {commit}, {processor()}."


def publish(section: str, text: str):
    """Puts a text between a section's marks, or a new section at the end."""
    begin, end = f"<!-- bench {section}: begin -->\n", f"<!-- bench {section}: end -->"
    page = PAGE.read_text()
    if begin not in page:
        page = f"{page.rstrip()}\n\n{begin}{end}\n"
    page = re.sub(f"(?<={re.escape(begin)}).*?(?={re.escape(end)})", lambda _: text + "\n", page, flags=re.DOTALL)
    PAGE.write_text(page)


def main() -> int:
    chosen = sys.argv[1:] or TOPICS
    if unknown := sorted(set(chosen) - set(TOPICS)):
        print(f"error: no topic is called {unknown[0]}; there are {', '.join(TOPICS)}", file=sys.stderr)
        return 2
    # A cache of earlier compilations would hide the time that they take.
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(scratch() / "inductor")
    publish("programs", f"{programs()}\nModel: SmolLM2-135M-Instruct, converted from {workspace.GGUF.name}.")
    for topic in chosen:
        text = []
        for line in itertools.chain(importlib.import_module(f"measurements.{topic}").lines(), ["", provenance(topic)]):
            print(line, flush=True)
            text.append(line)
        publish(topic, "\n".join(text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
