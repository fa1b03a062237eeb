"""What PEFT does with an adapter's configuration, for names of modules that need no model.

`golden/adapters/targets.json`   configurations, and the modules of a list that PEFT targets with each
`golden/adapters/overrides.json` rank and alpha patterns, and the value PEFT uses for each module
`golden/adapters/patterns.json`  regular expressions, and whether Python's `re.fullmatch` accepts each text
"""

import json
import re

from peft import LoraConfig
from peft.tuners.tuners_utils import check_target_module_exists
from peft.utils.other import get_pattern_key

from golden import GOLDEN

LINEAR = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
MODULES = [f"model.layers.{layer}.{name}" for layer in [0, 1, 2, 11] for name in LINEAR] + [
    "model.layers.1.mlp.experts.0.down_proj",
    "model.layers.2.mlp.experts.1.down_proj",
    "model.vision.blocks.1.attn.q_proj",
    "layers.1.q_proj",
    "q_proj",
    "model.xq_proj",
    "lm_head",
]

TARGETS = [
    {"target_modules": ["q_proj", "v_proj"]},
    {"target_modules": ["self_attn.q_proj"]},
    {"target_modules": ["model.layers.1.mlp.up_proj", "lm_head"]},
    {"target_modules": r".*\.layers\.(0|11)\..*(q|k)_proj"},
    {"target_modules": r"^(?!.*vision).*q_proj$"},
    {"target_modules": r"model\.layers\.\d+\.mlp\.(?:gate|up)_proj"},
    {"target_modules": ["q_proj", "o_proj"], "exclude_modules": ["vision.blocks.1.attn.q_proj", "o_proj"]},
    {"target_modules": ["q_proj"], "exclude_modules": r".*vision.*|q_proj"},
    {"target_modules": ["q_proj", "down_proj"], "layers_to_transform": [1, 11]},
    {"target_modules": ["q_proj", "down_proj"], "layers_to_transform": 1},
    {"target_modules": ["q_proj"], "layers_to_transform": [1], "layers_pattern": "layers"},
    {"target_modules": ["q_proj", "down_proj"], "layers_to_transform": [1], "layers_pattern": ["blocks", "layers"]},
    {"target_modules": ["q_proj", "lm_head"], "modules_to_save": ["lm_head", "vision"]},
]

OVERRIDES = [
    {"q_proj": 2, "layers.1.mlp.down_proj": 7},
    {"proj": 3},
    {".*proj": 3, "q_proj": 4},
    {"model.layers.1.self_attn.q_proj": 5, r"layers\.\d+\.self_attn\.q_proj": 6},
    {r"layers\.(0|2)\..*": 9},
    {"^model.layers.0.self_attn.q_proj": 8},
]

TEXTS = ["", "a", "b", "ab", "aab", "abab", "a.b", "a1", "a_1", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "-", "]", "a{2}", "h.12.c_attn", "{,2}", "é"]
PATTERNS = [
    "a", "a*", "a+b", "(ab)+", "(?:ab|a)b?", "a|b|ab", "a.b", r"a\.b", "[ab]+", "[^a]", "[a-c]b", r"a\d", r"a\w\d", r"\D", r"\S*", "a{2}b", "a{2,}b",
    "a{,2}b", "a{1,2}b", "a??b", "(?=a)ab", "(?!a).*", "(a+)+b", "(a*)*b", "(a|a)*b", "^a$", "(?P<first>a)b", r"[]a]", r"[\]-]", "", "()", "(|a)b",
    r"h\.\d+\.c_attn", r".*\.c_(attn|proj)", "a{x}", "[.]", "[a-]", r"\Aa\Z", "a{2", "é", "h.(?!1).*", "(?:a(?:b(?:a(?:b)?)?)?)?", ".", "(ab){2}", r"[a-z.]+",
]  # fmt: skip


def write(name: str, value: object) -> None:
    path = GOLDEN / "adapters" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def main() -> None:
    targets = []
    for arguments in TARGETS:
        config = LoraConfig(**arguments)
        targets.append({"config": arguments, "targeted": [m for m in MODULES if check_target_module_exists(config, m)]})
    write("targets.json", {"modules": MODULES, "cases": targets})
    overrides = [{"pattern": p, "values": [p.get(get_pattern_key(p.keys(), m)) for m in MODULES]} for p in OVERRIDES]
    write("overrides.json", {"modules": MODULES, "cases": overrides})
    write("patterns.json", {"texts": TEXTS, "cases": [{"pattern": p, "matches": [bool(re.fullmatch(p, t)) for t in TEXTS]} for p in PATTERNS]})


if __name__ == "__main__":
    main()
