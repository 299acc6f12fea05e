# The server with its weights. It listens to other machines and so does not start without keys, which it makes itself:
#   docker build -t waymark .
#   docker run --rm -v waymark:/data waymark keys            # says how
#   docker run --rm -v waymark:/data waymark keys alice      # makes a key for alice and prints it
#   docker run --read-only -p 8000:8000 -v waymark:/data waymark
# All that it writes goes to the volume. Other commands are `waymark --help`, as in `docker run waymark --help`.

# By digest, so that the same file is the same image. A newer one: docker buildx imagetools inspect python:TAG
ARG BASE=python:3.11.13-slim-bookworm@sha256:86adf8dbadc3d6e82ee5dd2c74bec2e1c2467cdad47886280501df722372d2e1
FROM ${BASE}

# Debian has one version of each for this base.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libegl1 libgl1 libgl1-mesa-dri \
    && rm -rf /var/lib/apt/lists/*

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

WORKDIR /build

# Dependencies first: these layers stay while only code or weights change. uv knows where torch's builds are: cpu is
# the small one; for NVIDIA GPUs build with TORCH_BUILD=cu130 or another one that uv knows.
ARG TORCH_BUILD=cpu
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements.txt \
    && pip install uv==0.13.9 \
    && uv pip install --system --no-cache --torch-backend "${TORCH_BUILD}" -c constraints.txt -r requirements.txt \
    && pip uninstall --yes uv

COPY . src
RUN pip install --no-deps ./src && rm -rf /build/*

RUN useradd --system --uid 10001 --no-create-home --home-dir /data waymark && install -d -o 10001 /data
USER 10001
VOLUME /data
# Where there is no other place to write to, temporary files go to the working directory.
WORKDIR /data

ENV HOME=/data \
    MUJOCO_GL=egl \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    WAYMARK_HOST=0.0.0.0 \
    WAYMARK_KEYS_FILE=/data/keys.txt \
    WAYMARK_PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s CMD \
    ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(f'http://127.0.0.1:{os.environ[\"WAYMARK_PORT\"]}/readyz', timeout=3)"]
ENTRYPOINT ["waymark"]
CMD ["serve"]
