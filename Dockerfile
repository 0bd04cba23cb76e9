# The image of `habitat-webhook serve`, and of every other role that comes.
# The lock files were compiled for this Python; change both together.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS wheel
WORKDIR /src
COPY requirements-dev.lock ./
RUN python -m venv /tools && /tools/bin/pip install --no-cache-dir --require-hashes -r requirements-dev.lock
COPY . ./
RUN /tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheel .

FROM python:${PYTHON}-slim AS runtime
COPY requirements.lock /
RUN python -m venv /app && /app/bin/pip install --no-cache-dir --require-hashes -r /requirements.lock
COPY --from=wheel /wheel /wheel
RUN /app/bin/pip install --no-cache-dir --no-deps --no-index /wheel/*.whl \
    && /app/bin/python -m compileall -q /app/lib

FROM python:${PYTHON}-slim
COPY --from=runtime /app /app
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A number, so that runAsNonRoot can be checked by the kubelet. Nothing is written outside /tmp and /dev/shm.
USER 65532:65532
WORKDIR /tmp
# exec form: no shell runs, and SIGTERM reaches the server itself.
ENTRYPOINT ["habitat-webhook"]
CMD ["serve"]
