"""What the generators share: where the files go, one thread, and the random tokens and weights of tiny models."""

import pathlib

import torch
from safetensors.torch import save_file

FIXTURES = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = FIXTURES / "golden"
VOCABULARY = 64

torch.set_num_threads(1)


def save(path: pathlib.Path, tensors: dict[str, torch.Tensor]) -> None:
    """Writes tensors as they are, except that 64-bit integers become 32-bit ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    narrow = lambda t: (t.to(torch.int32) if t.dtype == torch.int64 else t).detach().contiguous().clone()
    save_file({name: narrow(tensor) for name, tensor in tensors.items()}, path)


def random_tokens(seed: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, VOCABULARY, shape, generator=torch.Generator().manual_seed(seed))


def chained_tokens(seed: int, sequences: int, length: int) -> torch.Tensor:
    """Sequences with something to learn: three times in four the next token is a fixed function of the last one."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.empty(sequences, length, dtype=torch.int64)
    rows[:, 0] = torch.randint(0, VOCABULARY, (sequences,), generator=generator)
    for position in range(1, length):
        chained = (5 * rows[:, position - 1] + 3) % VOCABULARY
        other = torch.randint(0, VOCABULARY, (sequences,), generator=generator)
        chosen = torch.rand(sequences, generator=generator) < 0.75
        rows[:, position] = torch.where(chosen, chained, other)
    return rows


@torch.no_grad()
def randomize(model: torch.nn.Module, seed: int) -> None:
    """Weights large enough that attention looks at some tokens more than at others, and every norm and bias matters."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if "LayerNorm" in name and name.endswith("weight"):
            parameter.copy_(1 + 0.3 * noise)
        elif "norm" in name and hasattr(model.config, "query_pre_attn_scalar"):  # Gemma adds 1 to its weights
            parameter.copy_(0.3 * noise)
        elif "norm" in name:
            gain = 1.7 if "q_norm" in name or "k_norm" in name else 1.0
            parameter.copy_(gain * (1 + 0.3 * noise))
        elif ".ln_" in name and name.endswith("weight"):
            parameter.copy_(1 + 0.3 * noise)
        elif name.endswith("bias"):
            parameter.copy_(0.5 * noise)
        elif "embed_tokens" in name or "lm_head" in name or ".wte." in name or ".wpe." in name or "_embeddings." in name:
            parameter.copy_(0.3 * noise)
        else:
            gain = 2.0 if "q_proj" in name or "k_proj" in name else 1.0
            inner = 0 if ".c_" in name else 1  # GPT-2's matrices are stored as [in, out]
            parameter.copy_(gain * noise / parameter.shape[inner] ** 0.5)
