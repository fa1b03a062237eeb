"""Learning rates of transformers' schedules, step by step.

Run: python schedules.py
Writes ../golden/schedules/schedules.json: for each case its parameters and the rates of the steps 0 to `total`.
"""

import json

from golden import GOLDEN

import sys

sys.path.pop(0)  # transformers imports a package `kernels` if there is one: not the script of that name

import torch
import transformers.optimization as schedules

PEAK = 1e-3


def rates(total, make):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    scheduler = make(optimizer)
    found = []
    for _ in range(total + 1):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


cases = []
for total, warmup in [(20, 4), (33, 0)]:
    def case(decay, make, **parameters):
        cases.append({"decay": decay, "total": total, "warmup": warmup, **parameters, "rates": rates(total, make)})

    case("cosine", lambda o: schedules.get_cosine_schedule_with_warmup(o, warmup, total))
    case("linear", lambda o: schedules.get_linear_schedule_with_warmup(o, warmup, total))
    case("constant", lambda o: schedules.get_constant_schedule_with_warmup(o, warmup))
    case("cosine", lambda o: schedules.get_cosine_with_min_lr_schedule_with_warmup(o, warmup, total, min_lr=1e-4), minimumRate=1e-4)
    case("cosine-restarts", lambda o: schedules.get_cosine_with_hard_restarts_schedule_with_warmup(o, warmup, total, num_cycles=3), cycles=3)
    case("polynomial", lambda o: schedules.get_polynomial_decay_schedule_with_warmup(o, warmup, total, lr_end=1e-5, power=2.0), power=2.0, minimumRate=1e-5)
    case("inverse-sqrt", lambda o: schedules.get_inverse_sqrt_schedule(o, warmup))
    case("wsd", lambda o: schedules.get_wsd_schedule(o, warmup, 6, num_training_steps=total, min_lr_ratio=0.1), decaySteps=6, minimumRate=1e-4)

path = GOLDEN / "schedules/schedules.json"
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(json.dumps(cases, indent=None, separators=(",", ":")) + "\n")
