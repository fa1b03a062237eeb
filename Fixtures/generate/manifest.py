"""Writes `Fixtures/MANIFEST.json`: who made each fixture, with which packages, or where it comes from, and its sha256.

    manifest.py           writes it; needs the packages of the peers' environment only for files that changed
    manifest.py --check   compares the files with it; needs nothing but Python, tar and gzip

A file `golden/AREA/...` was made by `generate/AREA.py` unless a folder of it is listed below. What others made is listed with its place.
"""

import argparse
import hashlib
import importlib.metadata
import json
import pathlib
import platform
import subprocess
import sys

FIXTURES = pathlib.Path(__file__).resolve().parent.parent
MANIFEST = FIXTURES / "MANIFEST.json"

GENERATORS = {
    "golden/fasttext": "generate/embedding_tables.py",
    "golden/static-embeddings": "generate/embedding_tables.py",
    "golden/kernels": "generate/kernel_values.py",  # scripts named kernels.py and tokenizers.py would stand for the packages
    "golden/tokenizers": "generate/tokenization.py",
    "golden/keras": "generate/keras_files.py",
    "golden/safetensors": "generate/formats.py",
    "golden/shards": "generate/formats.py",
    "golden/word-vectors": "generate/formats.py",
    "golden/pytorch": "generate/archives.py",
    "golden/numpy": "generate/archives.py",
    "model": "generate/train_model.py",
    "text": "generate/text.py",
    "vectors": "generate/vectors.py",
}
ORIGINS = {
    "hdf5-cve": {"origin": "https://github.com/HDFGroup/cve_hdf5", "licence": "hdf5-cve/COPYING"},
}
PACKAGES = ["torch", "transformers", "peft", "safetensors", "tokenizers", "huggingface_hub", "numpy", "gguf", "libgguf", "h5py", "hdf5plugin", "keras", "gensim", "fasttext", "model2vec", "mergekit", "diffusers", "mlx", "mlx_lm"]
DISTRIBUTIONS = {"fasttext": "fasttext-wheel"}  # where it isn't called like what is imported


def origin(path: str) -> dict[str, str] | None:
    """Where a file that nothing here makes comes from, and its licence."""
    return next((origin for folder, origin in ORIGINS.items() if path.startswith(folder + "/")), None)


def generator(path: str) -> str:
    for folder, script in GENERATORS.items():
        if path.startswith(folder + "/"):
            return script
    parts = path.split("/")
    script = f"generate/{parts[1]}.py" if parts[0] == "golden" and len(parts) > 2 else None
    if script is None or not (FIXTURES / script).exists():
        sys.exit(f"{path}: no generator is listed for it in {pathlib.Path(__file__).name}")
    return script


def versions(script: str) -> dict[str, str]:
    """The versions of what a generator imports, itself or through the modules beside it."""
    source = (FIXTURES / script).read_text()
    for module in (FIXTURES / "generate").glob("*.py"):
        if f"\nfrom {module.stem} import" in source or f"\nimport {module.stem}\n" in source:
            source += module.read_text()
    used = [name for name in PACKAGES if f"\nimport {name}" in source or f"\nfrom {name}" in source]
    found = {"python": platform.python_version()} | {DISTRIBUTIONS.get(name, name): importlib.metadata.version(DISTRIBUTIONS.get(name, name)) for name in used}
    if '"bible"' in source:
        query = ["dpkg-query", "--show", "--showformat=${Version}", "bible-kjv-text"]
        found["bible-kjv-text"] = subprocess.run(query, check=True, capture_output=True, text=True).stdout
    return found


def fixtures() -> dict[str, str]:
    """The path of each fixture below `Fixtures/`, with its sha256."""
    subprocess.run([FIXTURES / "archives", "unpack"], check=True)
    paths = [p for p in FIXTURES.rglob("*") if p.is_file() and not {"generate", "packed", "__pycache__"} & set(p.relative_to(FIXTURES).parts)]
    names = sorted(p.relative_to(FIXTURES).as_posix() for p in paths if p.name not in ("README.md", "archives", MANIFEST.name))
    return {name: hashlib.sha256((FIXTURES / name).read_bytes()).hexdigest() for name in names}


def check(recorded: dict, present: dict[str, str]) -> int:
    problems = [f"{name}: listed, but not there" for name in recorded if name not in present]
    problems += [f"{name}: there, but not listed" for name in present if name not in recorded]
    problems += [f"{name}: differs from the manifest" for name in present if name in recorded and recorded[name]["sha256"] != present[name]]
    print("\n".join(problems) or f"{len(present)} fixtures are as the manifest says")
    return 1 if problems else 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    recorded = json.loads(MANIFEST.read_text()) if MANIFEST.exists() else {}
    present = fixtures()
    if arguments.check:
        return check(recorded, present)
    manifest = {}
    for name, digest in present.items():
        if found := origin(name):
            manifest[name] = found | {"sha256": digest}
            continue
        entry = recorded.get(name)
        if entry is None or entry["sha256"] != digest or entry["generator"] != generator(name):
            entry = {"generator": generator(name), "versions": versions(generator(name)), "sha256": digest}
        manifest[name] = entry
    MANIFEST.write_text(json.dumps(manifest, indent=1) + "\n")
    print(f"{len(manifest)} fixtures, {sum((FIXTURES / name).stat().st_size for name in manifest)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
