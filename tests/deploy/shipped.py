"""Every file that starts something somewhere, and the code blocks of the pages that say how."""

import subprocess

from tests.docs.pages import BLOCKS, ROOT


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True
    )
    return listed.stdout.split()


def files() -> dict[str, str]:
    """Text by name: cluster files, the image's, Slurm's, and each page's shell, joined."""
    endings = (".yaml", ".yml", ".sbatch", ".sh")
    names = [
        one
        for one in tracked()
        if one in {"Dockerfile", ".dockerignore", "Makefile"}
        or (one.endswith(endings) and not one.startswith("tests/"))
    ]
    found = {name: (ROOT / name).read_text() for name in names}
    for block in BLOCKS:
        if block.language == "sh":
            name = str(block.page.relative_to(ROOT))
            found[name] = found.get(name, "") + block.text
    return found


def without_comments(text: str) -> str:
    """What is left for a machine to read."""
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
