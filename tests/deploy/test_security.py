"""Whatever is shipped to start something: a token, the loopback, pinned images, no folder for everybody."""

import re
from collections.abc import Callable

import pytest

from tests.deploy import shipped
from tests.docs.pages import ROOT

FILES = shipped.files()
STARTS = re.compile(r"ray start\b|kind: RayJob|ray up\b|ray symmetric-run\b")
# They start a Ray, or say how; a file that is none of these has no reason to.
KNOWN = {
    "cluster.yaml", "cluster.gcp.yaml", "docs/clusters.md", "docs/clusters/aws.md",
    "docs/clusters/gcp.md", "docs/kuberay-rayjob.yaml", "docs/slurm.sbatch",
}  # fmt: skip


def no_token(text: str) -> bool:
    """Whether a Ray is started without saying that it wants a token."""
    stated = re.search(r"RAY_AUTH_MODE=token|name: RAY_AUTH_MODE, value: token", text)
    return bool(STARTS.search(text)) and not stated


def open_address(text: str) -> bool:
    """Whether something listens to the world, or a rule lets it in."""
    listens = re.search(r"0\.0\.0\.0|dashboard-host[=:]\s*\"?(?!127\.0\.0\.1)\S|\[?::\]?/0", text)
    published = re.search(r"docker run[^\n]* (-p|--publish)\b|hostPort|hostNetwork|NodePort", text)
    balanced = re.search(r"LoadBalancer|kind: Ingress\b|CidrIp|sourceRanges", text)
    return bool(listens or published or balanced)


def for_everybody(text: str) -> bool:
    """Whether a folder or a file is made for the world to read or write."""
    words = re.findall(r"chmod\s+(?:-R\s+)?(\S+)|--mode=(\S+)|umask\s+(\d+)", text)
    return any(
        (mode and re.fullmatch(r"[0-7]{3,4}", mode) and mode[-1] != "0")
        or (mode and re.search(r"[ao][+=]r?w", mode))
        or (mask and mask[-1] != "7")
        for plain, made, mask in words
        for mode in [plain or made]
    )


def unpinned(text: str) -> bool:
    """Whether an image or a base is whatever is newest."""
    images = re.findall(r"^(?:[ -]+image:|FROM)\s+(\S+)", text, re.MULTILINE)
    images += re.findall(r"--tag (\S+)", text)
    return any(":" not in one or one.endswith(":latest") for one in images)


def registry(text: str) -> bool:
    """Whether a host of images or packages is named."""
    image = re.search(r"(?:image:|FROM|--tag)\s+[\w-]+\.[\w.-]+(?::\d+)?/", text)
    return bool(
        image or re.search(r"--(extra-)?index-url|docker\.io|pypi\.org|ghcr\.io|gcr\.io", text)
    )


def secret(text: str) -> bool:
    """Whether a value that should be nobody's stands there."""
    named = r"(AWS_SECRET_ACCESS_KEY|HF_TOKEN|RAY_AUTH_TOKEN|PASSWORD)\s*[=:]\s*['\"]?[\w/+]{8}"
    return bool(re.search(rf"{named}|AKIA[0-9A-Z]{{16}}|BEGIN [A-Z ]*PRIVATE KEY", text))


RULES: dict[Callable[[str], bool], tuple[list[str], list[str]]] = {
    no_token: (
        ["ray start --head", "kind: RayJob\nname: x", "export RAY_AUTH_MODE=disabled\nray up x.yaml"],
        ["export RAY_AUTH_MODE=token\nray up x.yaml", "ls"],
    ),
    open_address: (
        ["ray start --dashboard-host=0.0.0.0", '{dashboard-host: "::"}', "docker run -p 8265:8265 x",
         "type: LoadBalancer", "CidrIp: 10.0.0.0/8"],
        ["ray start --dashboard-host=127.0.0.1", "kind: NetworkPolicy\n- Ingress"],
    ),
    for_everybody: (
        ["chmod 777 /mnt", "chmod -R 755 x", "chmod 644 token", "install --mode=0755 x", "umask 022",
         "chmod a+rw x", "chmod o+w x"],
        ["chmod 600 x", "install --mode=0700 x", "umask 077", "chmod -R u=rwX,go=rX /app"],
    ),
    unpinned: (
        ["  image: a/b", "FROM debian:latest", "- image: x:latest", "build --tag zoo-eval ."],
        ["  image: a/b:0.1.0", "FROM debian:12.12-slim"],
    ),
    registry: (
        ["image: host.example.org/x:1", "FROM ghcr.io/x:1", "pip install --index-url x"],
        ["image: YOUR-REGISTRY/zoo-eval:0.1.0"],
    ),
    secret: (
        ["HF_TOKEN=hf_abcdefgh", "AWS_SECRET_ACCESS_KEY: abcdefgh1", "AKIAABCDEFGHIJKLMNOP"],
        ["RAY_AUTH_TOKEN_PATH=/home/zoo/.ray/auth_token"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", FILES)
def test_what_is_shipped_keeps_the_rule(name, rule):
    assert not rule(shipped.without_comments(FILES[name])), name


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_notices_what_breaks_it(rule):
    broken, kept = RULES[rule]
    assert [one for one in broken if not rule(one)] == []
    assert [one for one in kept if rule(one)] == []


def test_every_file_that_starts_a_ray_is_known():
    starting = {n for n, text in FILES.items() if STARTS.search(shipped.without_comments(text))}
    assert starting == KNOWN


def test_the_token_of_slurm_is_made_for_its_owner():
    script = (ROOT / "docs" / "slurm.sbatch").read_text()
    assert script.index("umask 077") < script.index("secrets.token_hex")
    assert set(re.findall(r"mkdir[^\n]*?-m (\d+)|(mktemp -d)", script)) == {
        ("", "mktemp -d"),
        ("700", ""),
    }


def test_the_dashboard_of_every_head_is_on_the_loopback():
    for name, text in FILES.items():
        for start in re.findall(r"ray start --head(?:[^\n]|\n\s+(?=--))*", text):
            assert "--dashboard-host=127.0.0.1" in start, name
