# syntax=docker/dockerfile:1
# Builds for linux/arm64 and linux/amd64: every dependency comes as a wheel, nothing is compiled.
# A digest pins the base for good: --build-arg PYTHON_IMAGE=python:3.13-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# Locks first: the layers of the dependencies change only when they do.
COPY requirements/build.txt requirements/runtime.txt requirements/
# Without pip: what is not in the worker's environment cannot be used from it.
RUN python -m venv --without-pip /opt/worker \
 && python -m pip --python /opt/worker/bin/python install --require-hashes --only-binary :all: -r requirements/runtime.txt
# hadolint ignore=DL3059
RUN python -m venv /opt/build \
 && /opt/build/bin/python -m pip install --require-hashes --only-binary :all: -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY producers producers
COPY infra infra
COPY worker worker
RUN /opt/build/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir /opt/wheels . \
 && python -m pip --python /opt/worker/bin/python install --no-deps --no-index --find-links /opt/wheels siftbeam-billing

FROM ${PYTHON_IMAGE} AS worker
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="SiftBeam Billing" \
      org.opencontainers.image.description="Metered storage billing: S3 usage to Stripe Billing Meters, exactly once." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}"
ENV PATH=/opt/worker/bin:${PATH} PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONFAULTHANDLER=1
RUN python -m pip uninstall --yes pip \
 && groupadd --gid 10001 worker \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin worker
COPY --from=build /opt/worker /opt/worker
USER 10001:10001
# The one place to write to: a volume there keeps its mode under a read-only root.
VOLUME ["/tmp"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-m", "worker.health"]
ENTRYPOINT ["python", "-m", "worker"]
