# facewright serve in a container: docker build -t facewright . && docker run --rm -p 127.0.0.1:8765:8765 -e FACEWRIGHT_TOKEN=... facewright
#
# TORCH is where the wheels of torch come from: https://download.pytorch.org/whl/cpu, or .../whl/cu128 and so on for a GPU (then run with
# --gpus all). Fetched weights live in the volume /weights; what clients send lives in /tmp, and nowhere else.
FROM python:3.11-slim-bookworm AS build

ARG TORCH=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/facewright
ENV PATH=/opt/facewright/bin:$PATH
WORKDIR /source
COPY constraints.txt ./
RUN pip install --extra-index-url "$TORCH" --constraint constraints.txt torch
COPY pyproject.toml README.md LICENSE LICENSES.md ./
COPY src ./src
RUN pip install --constraint constraints.txt ".[app,heif]"

FROM python:3.11-slim-bookworm

RUN useradd --create-home --uid 10001 facewright && mkdir /weights && chown 10001 /weights
COPY --from=build /opt/facewright /opt/facewright
ENV PATH=/opt/facewright/bin:$PATH \
    FACEWRIGHT_CACHE=/weights \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/facewright
VOLUME /weights
EXPOSE 8765
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8765/healthz', timeout=4)"]
ENTRYPOINT ["facewright"]
CMD ["serve", "--host", "0.0.0.0", "--no-browser"]
