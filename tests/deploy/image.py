"""Build the image, or run its steps in a clean root, and try what comes out: `make image`.

    python -m tests.deploy.image [FOLDER]

Where a docker or podman answers, the Dockerfile is built by it. Elsewhere, as root and with debootstrap,
its steps run in a root that debootstrap made, one after the other, each with its own process table: every
RUN (apt's too), COPY, ENV, ARG, WORKDIR and USER. What that does not show: the very base image (the
root has the same Debian packages, fresh from the archive), layers and their sizes, what the runtime adds
(`--gpus`, `--shm-size`), and CUDA.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.deploy import dockerfile
from tests.docs.pages import ROOT

SUITES = {"12": "bookworm"}
TAG = "zoo-eval:tried"
# How this machine reaches its registries; taken out again.
BORROWED = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/etc/uv/uv.toml")
CERTIFICATES = "/root/certificates.crt"
TRIED = ROOT / "tests" / "deploy" / "tried.py"


def main(folder: str | None = None) -> int:
    """Builds and tries; 0 where everything held."""
    revision = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    builder = next((one for one in ("docker", "podman") if _answers(one)), None)
    if builder:
        return _built(builder, revision)
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        print("image: no docker or podman answers; run as root with debootstrap installed")
        return 2
    made = Path(folder) if folder else Path(tempfile.mkdtemp(prefix="zoo-image-"))
    root = CleanRoot(made, revision)
    try:
        root.build()
        return root.run("python -", stdin=TRIED.read_text())
    finally:
        if folder is None:
            shutil.rmtree(made)


def _answers(builder: str) -> bool:
    if shutil.which(builder) is None:
        return False
    return subprocess.run([builder, "info"], capture_output=True, check=False).returncode == 0


def _built(builder: str, revision: str) -> int:
    build = [builder, "build", "--build-arg", f"REVISION={revision}", "--tag", TAG, str(ROOT)]
    subprocess.run(build, check=True)
    trial = [builder, "run", "--rm", "--interactive", "--network=none", "--shm-size=1g"]
    trial += ["--env", f"EXPECTED_REVISION={revision}", TAG, "python", "-"]
    return subprocess.run(trial, input=TRIED.read_text(), text=True, check=False).returncode


class CleanRoot:
    """A root that holds a Debian and nothing else, and the state that a build has on its way."""

    def __init__(self, folder: Path, revision: str) -> None:
        self.folder = folder
        self.revision = revision
        self.arguments: dict[str, str] = {}
        self.environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.user = "0:0"
        self.place = "/"

    def build(self) -> None:
        """Runs the Dockerfile's instructions.

        Raises:
            CalledProcessError: a step fails.
        """
        lent: list[Path] = []
        for one in dockerfile.read():
            print(f"{one.word} {one.rest[:90]}", flush=True)
            match one.word:
                case "FROM":
                    self._debian(one.rest)
                    lent = self._lend()
                case "ARG":
                    given = {"REVISION": self.revision, "UV_NO_CACHE": "0"}
                    self.arguments |= {k: given.get(k, v) for k, v in one.assigned.items()}
                case "ENV":
                    self.environment |= one.assigned
                case "USER":
                    self.user = one.rest
                case "WORKDIR":
                    self.place = one.rest
                    self.inside(one.rest).mkdir(parents=True, exist_ok=True)
                case "COPY":
                    self._copy(one.rest.split())
                case "RUN":
                    if code := self.run(one.rest, self.arguments):
                        raise subprocess.CalledProcessError(code, one.rest)
        for path in lent:
            path.unlink(missing_ok=True)
        shutil.rmtree(self.inside("/root/.cache"), ignore_errors=True)
        self.environment["EXPECTED_REVISION"] = self.revision

    def inside(self, path: str) -> Path:
        return self.folder / path.lstrip("/")

    def _debian(self, image: str) -> None:
        name, tag = image.split(":")
        assert name == "debian"
        if not self.inside("/etc/debian_version").exists():
            suite = SUITES[tag.split(".")[0]]
            command = ["debootstrap", "--variant=minbase", suite, str(self.folder)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def _lend(self) -> list[Path]:
        """Settings by which the registries are reached, and uv's cache as links, which cost no disk."""
        lent = []
        own = Path.home() / ".config" / "pip" / "pip.conf"
        certificates = os.environ.get("PIP_CERT", "/etc/ssl/certs/ca-certificates.crt")
        pairs = [(name, name) for name in BORROWED]
        # Under a name of their own: installing the package of that name writes the usual one anew.
        pairs += [(str(own), "/root/.config/pip/pip.conf"), (certificates, CERTIFICATES)]
        for name, inner in pairs:
            if Path(name).is_file():
                target = self.inside(inner)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(name, target)
                lent.append(target)
        self.arguments |= {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "UV_"))}
        self.arguments |= {"PIP_CERT": CERTIFICATES, "SSL_CERT_FILE": CERTIFICATES}
        cache = Path.home() / ".cache" / "uv"
        if cache.is_dir():
            target = self.inside("/root/.cache/uv")
            target.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "--archive", "--link", cache, target], check=True)
        return lent

    def _copy(self, words: list[str]) -> None:
        *sources, target = words
        given = dockerfile.context()
        for source in sources:
            files = [one for one in given if one == source or one.startswith(f"{source}/")]
            assert files, source
            for one in files:
                inner = Path(one).relative_to(source) if one != source else Path(Path(one).name)
                place = self.inside(target) / inner
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / one, place)

    def run(
        self, command: str, arguments: dict[str, str] | None = None, stdin: str | None = None
    ) -> int:
        """Runs a shell command inside, as the user and in the folder of now; its exit code."""
        known = {**(arguments or {}), **self.environment}
        user, place = self.user, self.place
        mounted = (
            'set -e; mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; '
            'mount -t tmpfs -o size=2g,mode=1777 tmpfs "$1/dev/shm"; '
            'exec chroot --userspec="$2" "$1" env -i --chdir="$3" "${@:5}" /bin/sh -c "$4"'
        )
        words = [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "bash",
            "-c",
            mounted,
            "-",
        ]
        words += [str(self.folder), user, place, command]
        words += [f"{name}={value}" for name, value in known.items()]
        return subprocess.run(words, input=stdin, text=True, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
