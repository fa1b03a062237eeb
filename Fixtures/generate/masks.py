"""Masks of LoRA dropout as Graft draws them, to stand where PEFT has its nn.Dropout.

In batch b element i of a module's input is dropped where word i % 4 of Philox 4x32-10 is below round(p * 2^32); what is kept is divided by 1 - p. The counter is
(i / 4, 0, b, the stream's low half) for fewer than 2^32 blocks and batches, the key the two halves of the seed with the stream's high half xored into the
second; the stream is the FNV-1a hash of MODULE.lora_dropout.
"""

import math

import numpy as np
import torch

LOW = 0xFFFFFFFF


def philox(counter: list[np.ndarray], key: list[int]) -> np.ndarray:
    """The four words of each counter: Philox 4x32-10 of Salmon et al., in 64-bit integers."""
    c, k = [word.astype(np.uint64) for word in counter], list(key)
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        high_a, high_b = a >> np.uint64(32), b >> np.uint64(32)
        c = [high_b ^ c[1] ^ np.uint64(k[0]), b & np.uint64(LOW), high_a ^ c[3] ^ np.uint64(k[1]), a & np.uint64(LOW)]
        k = [(k[0] + 0x9E3779B9) & LOW, (k[1] + 0xBB67AE85) & LOW]
    return np.stack(c, axis=-1)


# A known answer of Random123.
KNOWN = [np.array([word]) for word in (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)]
assert philox(KNOWN, [0xA4093822, 0x299F31D0])[0].tolist() == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


def stream(name: str) -> int:
    """The FNV-1a hash of a name, in 64 bits."""
    number = 0xCBF29CE484222325
    for byte in name.encode():
        number = ((number ^ byte) * 0x100000001B3) % 2**64
    return number


class Masked(torch.nn.Module):
    """Dropout of one module's input; `Masked.batch` is the number of the batch for all of them."""

    batch = 0

    def __init__(self, path: str, probability: float, seed: int):
        super().__init__()
        number = stream(path + ".lora_dropout")
        self.stream, self.key = number & LOW, [seed & LOW, seed >> 32 ^ number >> 32]
        self.probability = probability

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        blocks = np.arange(math.ceil(x.numel() / 4))
        counter = [blocks, *(np.full_like(blocks, word) for word in (0, Masked.batch, self.stream))]
        words = philox(counter, self.key).reshape(-1)[: x.numel()]
        factors = np.where(words < round(self.probability * 2**32), 0, 1 / (1 - self.probability)).astype(np.float32)
        return x * torch.from_numpy(factors).view(x.shape)


def mask_dropout(model: torch.nn.Module, probability: float, seed: int) -> None:
    """Puts masks into every adapted module of a PEFT model, whether it is in training mode or not."""
    for path, module in list(model.named_modules()):
        if hasattr(module, "lora_dropout"):
            module.lora_dropout["default"] = Masked(path.removeprefix("base_model.model."), probability, seed)
