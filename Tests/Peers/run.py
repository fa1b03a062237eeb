"""Compares Graft with PyTorch, PEFT, transformers and the other peers on SmolLM2-135M-Instruct.

    run.py [TOPIC…]

A topic is a file of `checks/`; without one, all run. One line a check, with what was measured and what is allowed.
"""

import importlib
import sys
import time
import traceback
import warnings

import workspace  # first: sets the environment that the peers read when they are imported
from verdict import Verdict

TOPICS = ["conversion", "tokenization", "logits", "embedding", "chat", "training", "budgets", "dropout", "full", "adapters", "merging", "storage", "gguf_files", "keras_files", "vectors", "archives"]


def verdicts(topic: str):
    """The verdicts of a topic; an error is one more, and ends it."""
    try:
        yield from importlib.import_module(f"checks.{topic}").checks()
    except workspace.CommandFailed as error:
        yield Verdict(topic, str(error), "runs to its end", False)
    except Exception as error:
        traceback.print_exc()
        yield Verdict(topic, f"{type(error).__name__}: {error}", "runs to its end", False)


def main() -> int:
    warnings.simplefilter("ignore")
    for program in (workspace.GRAFT, workspace.BENCHMARKS):
        if not program.exists():
            print(f"error: {program} is missing: run this through `make test-peers`", file=sys.stderr)
            return 2
    passed = failed = 0
    for topic in sys.argv[1:] or TOPICS:
        began = time.monotonic()
        for verdict in verdicts(topic):
            print(verdict, flush=True)
            passed += verdict.passed
            failed += not verdict.passed
        print(f"      {topic}: {time.monotonic() - began:.0f} s", flush=True)
    print(f"{passed} passed, {failed} failed")
    return failed > 0 or passed == 0


if __name__ == "__main__":
    sys.exit(main())
