# What the steps of cloudbuild.yaml run in. builder: everything that ./dev check and ./dev test need. cloud: gcloud,
# tofu, docker, Python and openssl, for the other steps. ./deploy bootstrap builds both once and pins their digests.
#
# Not built by any test: the base images come from registries that only a build in the cloud reaches. What can be looked
# at without them is (tests/cloud/deploy/test_steps_image.py): that Debian has the packages, that the versions are those
# of the repository, and that every program is there that ./dev and ./deploy call. Rust is the Dockerfile's.
ARG RUST=mirror.gcr.io/library/rust:1.95-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082
ARG GO=mirror.gcr.io/library/golang:1.26-bookworm
ARG CLOUD=gcr.io/google.com/cloudsdktool/google-cloud-cli:stable

FROM ${GO} AS tofu
COPY tests/cloud/tools/tofu/ /src/
RUN cd /src && go build -mod=readonly -trimpath -ldflags '-s -w -X github.com/opentofu/opentofu/version.dev=no' \
    -o /tofu github.com/opentofu/opentofu/cmd/tofu

FROM ${RUST} AS builder
RUN apt-get update && apt-get install --yes --no-install-recommends \
    buildah ca-certificates curl gcc git libc6-dev nodejs npm openssl postgresql procps python3 python3-venv \
    redis-server \
    && rm -rf /var/lib/apt/lists/*
RUN rustup component add clippy rustfmt
COPY --from=tofu /usr/local/go /usr/local/go
ENV PATH=/usr/local/go/bin:$PATH

FROM ${CLOUD} AS cloud
RUN apt-get update && apt-get install --yes --no-install-recommends git openssl python3 && rm -rf /var/lib/apt/lists/*
COPY --from=tofu /tofu /usr/local/bin/tofu
