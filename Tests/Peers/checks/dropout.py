"""LoRA dropout beside PEFT: the gradients on the same masks, and the adapter's configuration."""

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from checks.training import BATCH, DATA, LENGTH, distance, first_gradients, initial_adapter
from verdict import all_equal, at_most
from workspace import generator, model, scratch, tokens

PROBABILITY = 0.1


def loaded(adapter):
    base = AutoModelForCausalLM.from_pretrained(model("f32"), dtype=torch.float32)
    return PeftModel.from_pretrained(base, adapter, is_trainable=True)


def checks():
    found = first_gradients("dropped", "--dropout", PROBABILITY)
    plain = first_gradients()

    masks = generator("masks")
    peer = loaded(initial_adapter())
    masks.mask_dropout(peer, PROBABILITY, seed=0)
    ids = torch.tensor(tokens(DATA)[: BATCH * LENGTH]).view(BATCH, LENGTH)
    # The loss in f64, as in reference/train.py.
    logits = peer(input_ids=ids).logits[:, :-1].double()
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()).backward()
    expected = {
        name.removeprefix("base_model.model.").replace(".default", ""): parameter.grad
        for name, parameter in peer.named_parameters()
        if parameter.grad is not None
    }
    assert expected.keys() == found.keys(), f"different tensors: {sorted(expected.keys() ^ found.keys())[:3]}"
    label = f"f32 gradient on the same masks, relative difference from PEFT (without masks: {distance(plain, expected):.2g})"
    yield at_most(label, distance(found, expected), 1e-4)

    modules = [module.lora_dropout["default"] for _, module in loaded(scratch() / "dropped").named_modules() if hasattr(module, "lora_dropout")]
    others = [module for module in modules if not isinstance(module, torch.nn.Dropout) or module.p != PROBABILITY]
    yield all_equal("modules that PEFT drops from with the probability of the run, once it loaded the adapter", others, len(modules))
