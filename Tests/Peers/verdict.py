"""The outcome of a check: what was measured beside what is allowed."""

import dataclasses


@dataclasses.dataclass
class Verdict:
    name: str
    measured: str
    bound: str
    passed: bool

    def __str__(self) -> str:
        return f"{'pass' if self.passed else 'FAIL'}  {self.name}: {self.measured} ({self.bound})"


def at_most(name: str, value: float, bound: float, unit: str = "") -> Verdict:
    return Verdict(name, f"{value:.3g}{unit}", f"at most {bound:g}{unit}", bool(value <= bound))


def at_least(name: str, value: float, bound: float, unit: str = "") -> Verdict:
    return Verdict(name, f"{value:.3g}{unit}", f"at least {bound:g}{unit}", bool(value >= bound))


def all_equal(name: str, different: list, total: int) -> Verdict:
    """Passes when nothing of `total` things differs, and there was something to compare."""
    found = f"{total - len(different)} of {total} equal"
    if different:
        found += f", first different: {different[0]}"
    return Verdict(name, found, "all equal", not different and total > 0)
