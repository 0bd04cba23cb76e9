# One image for both roles, `habitat-webhook serve` and `habitat-webhook controller`. `make image` builds it.
#
# The lock files were compiled for this Python; change all together. BUILD is BASE with a C compiler, and both have their
# Python in one place, which the virtual environment links to. Digests pin them for good: make image BASE=python@sha256:…
ARG BUILD=python:3.11-bookworm
ARG BASE=python:3.11-slim-bookworm

# /tools builds and installs, and stays behind; /app is what runs: no pip, no setuptools.
FROM ${BUILD} AS build
WORKDIR /src
COPY requirements-build.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv /tools \
    && /tools/bin/pip install --require-hashes -r requirements-build.lock
COPY requirements.lock ./
# gunicorn-h1c comes as source alone. Without isolation it is built by the setuptools that is locked above.
RUN --mount=type=cache,target=/root/.cache/pip \
    /tools/bin/pip wheel --no-build-isolation --wheel-dir /wheels --require-hashes -r requirements.lock
# What nothing here can reach goes: the asynchronous half of the kubernetes package, which is the larger one, tests, and
# other packages' commands. Compiled once: unchecked, so that starting reads no source and writes nothing.
RUN python3 -m venv --without-pip /app \
    && /tools/bin/pip --python=/app/bin/python install --no-compile --no-deps --no-index /wheels/*.whl \
    && rm -r /app/lib/python3*/site-packages/kubernetes/aio \
    && find /app/lib -type d -name tests -prune -exec rm -r {} + \
    && find /app/bin -type f -delete \
    && /app/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /app/lib
COPY . ./
RUN /tools/bin/pip wheel --no-build-isolation --wheel-dir /wheel --no-deps --no-index . \
    && /tools/bin/pip --python=/app/bin/python install --no-compile --no-deps --no-index /wheel/*.whl \
    && rm /app/bin/kubectl-habitat /app/bin/kubectl_complete-habitat \
    && /app/bin/python -m compileall -q --invalidation-mode unchecked-hash \
        /app/lib/python3*/site-packages/webhook /app/lib/python3*/site-packages/certs

FROM ${BASE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="habitat-webhook" \
      org.opencontainers.image.description="Makes plain Kubernetes Deployments run under the Chef Habitat Supervisor" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A number, so that the kubelet can check runAsNonRoot. Nothing is written but to /dev/shm: the root may be read-only.
USER 65532:65532
WORKDIR /tmp
# exec form: no shell is needed, and SIGTERM reaches the program itself.
ENTRYPOINT ["habitat-webhook"]
CMD ["serve"]
