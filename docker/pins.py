"""Writes the two files of pins from the environment it runs in: what the image installs, and no more.

`constraints-torch.txt` holds torch, torchvision and all they need (with CUDA, on Linux);
`constraints.txt` what ganforge needs besides. Run it where the test suite has passed: `make pins`.
"""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

HERE = Path(__file__).parent
TORCH = ("torch", "torchvision")


def needs(requirement: Requirement, found: set[tuple[str, str]]) -> None:
    """Adds to `found` each (name, extra) that the requirement leads to; extra "" is the package."""
    name = canonicalize_name(requirement.name)
    for extra in ("", *requirement.extras):
        if (name, extra) in found:
            continue
        found.add((name, extra))
        for line in distribution(name).requires or ():
            further = Requirement(line)
            if further.marker is None or further.marker.evaluate({"extra": extra}):
                needs(further, found)


def closure(*names: str) -> set[str]:
    """These distributions and all that they need here."""
    found: set[tuple[str, str]] = set()
    for name in names:
        needs(Requirement(name), found)
    return {name for name, _ in found}


def write(file: Path, title: str, names: set[str]) -> None:
    # 2.15.0+cpu and 2.15.0 are one release of torch in two builds; the index decides which.
    pins = [f"{name}=={Version(distribution(name).version).public}\n" for name in sorted(names)]
    file.write_text(
        f"# {title}\n# Written by 'make pins' from an environment that passed the tests.\n{''.join(pins)}"
    )


def main() -> None:
    torch = closure(*TORCH)
    write(HERE / "constraints-torch.txt", "torch, torchvision and what they need.", torch)
    rest = closure("ganforge") - torch - {"ganforge"}
    write(HERE / "constraints.txt", "What ganforge needs besides torch and torchvision.", rest)


if __name__ == "__main__":
    main()
