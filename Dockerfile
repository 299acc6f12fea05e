# The server with its weights. CPU builds of torch: docker build --build-arg PIP_EXTRA_INDEX_URL=... .
# It listens to other machines and so does not start without keys. After `python -m server.keys alice --file keys.txt`:
# docker run -p 8000:8000 -v ./keys.txt:/keys.txt:ro -e WAYMARK_KEYS_FILE=/keys.txt waymark
FROM python:3.11-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends libegl1 libgl1 libgl1-mesa-dri \
    && rm -rf /var/lib/apt/lists/*

ENV MUJOCO_GL=egl \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1

WORKDIR /app

# Dependencies first: this layer stays while only code or weights change.
ARG PIP_EXTRA_INDEX_URL
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements.txt \
    && pip install -c constraints.txt -r requirements.txt

COPY . src
RUN pip install --no-deps ./src && rm -rf src requirements.txt pyproject.toml constraints.txt

RUN useradd --system --no-create-home waymark
USER waymark

ENV WAYMARK_HOST=0.0.0.0 \
    WAYMARK_PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD \
    ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"WAYMARK_PORT\"]}/livez', timeout=3)"]
CMD ["python", "-m", "server"]
