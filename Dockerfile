# The image for clusters (cluster.yaml, cluster.gcp.yaml, docs/kuberay-rayjob.yaml): this repository,
# installed from requirements.lock by hash. `make image` builds and tries it.
#
#   docker build --build-arg REVISION=$(git rev-parse HEAD) --tag zoo-eval:0.1.0 .
#   docker run --rm --gpus all --shm-size=16g zoo-eval:0.1.0 zoo-eval doctor
#
# Ray keeps what its processes share in /dev/shm, of which a container has 64 MB by default: give it
# --shm-size, or the nodes of a cluster a memory volume there.
FROM debian:12.12-slim

# Python is Debian's own, so that its security updates come with a rebuild. The head that `ray up`
# started reaches its workers by ssh, and copies files into containers by rsync.
RUN apt-get update \
    && apt-get upgrade --yes \
    && apt-get install --yes --no-install-recommends \
        ca-certificates openssh-client python3 python3-venv rsync \
    && rm -rf /var/lib/apt/lists/*

# The user 1000 is also the `ubuntu` of the machines that `ray up` starts: it owns the token's file.
RUN groupadd --gid 1000 zoo \
    && useradd --uid 1000 --gid 1000 --create-home --shell /bin/bash zoo \
    && install --directory --owner=zoo --group=zoo --mode=0700 /home/zoo /home/zoo/.ray /weights

# uv itself comes from the lock file, by hash; it then installs the rest. The locks are complete, so
# that nothing is looked for. Caches would stay in the image; whoever tries the steps elsewhere keeps
# them with other arguments.
ARG UV_NO_CACHE=1
ARG PIP_NO_CACHE_DIR=1
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin
COPY requirements.lock requirements.gcp.lock /src/
RUN python3 -m venv /opt/venv \
    && sed -n '/^uv==/,/^[a-z].*==/p' /src/requirements.lock | sed '1!{/^[a-z].*==/d}' > /src/uv.lock \
    && python -m pip install --quiet --disable-pip-version-check --require-hashes -r /src/uv.lock \
    && uv pip install --quiet --python /opt/venv/bin/python --compile-bytecode --no-deps \
        --require-hashes --requirement /src/requirements.lock --requirement /src/requirements.gcp.lock

# A checkout's own revision cannot be asked for in an image: rows name the one that is given here.
ARG REVISION
COPY pyproject.toml README.md LICENSE /src/
COPY zoo_eval /src/zoo_eval
RUN uv pip install --quiet --python /opt/venv/bin/python --compile-bytecode \
        --no-deps --no-build-isolation /src \
    && cd / && python -c 'import sys, zoo_eval; from pathlib import Path; \
        (Path(zoo_eval.__file__).parent / "revision.txt").write_text(sys.argv[1])' "$REVISION" \
    && rm -rf /src

# Recipes and sweep files; of root, so that what runs cannot change them.
COPY jobs /app/jobs
COPY sweeps /app/sweeps
COPY zoo /app/zoo
RUN chmod -R u=rwX,go=rX /app

# HOME is read by `ray up`, which asks the image and not the user. The weights' cache belongs on the
# node's own disk: mount one there. The NVIDIA runtime gives a container what these two name.
ENV HOME=/home/zoo \
    HF_HOME=/weights/huggingface \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PYTHONUNBUFFERED=1 \
    RAY_AUTH_MODE=token \
    RAY_ENABLE_UV_RUN_RUNTIME_ENV=0 \
    RAY_USAGE_STATS_ENABLED=0 \
    TORCH_FORCE_WEIGHTS_ONLY_LOAD=1
WORKDIR /app
USER 1000:1000
CMD ["zoo-eval", "doctor"]
