# One file for every image.
#
#   cloud   what Cloud Run and Kubernetes run: static binaries and nothing else. Its context is target/image, which
#           .ci/image fills: .ci/image && docker build --file Dockerfile --target cloud target/image
#   local   one machine, as ./dev run: license-local with a PostgreSQL and a Redis of its own. Its context is this
#           directory; compose.yaml builds and starts it.
#
# `cloud` is first: a builder that knows no targets better builds everything before the one it is asked for.

ARG BASE=scratch
ARG RUST=mirror.gcr.io/library/rust:1.95-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082
ARG DEBIAN=mirror.gcr.io/library/debian:bookworm-slim@sha256:88200866dfff7ea7f5cbcb6ec7c8a701889efe6fe859fe64d6990e4b07ea4171

# No shell, no libraries, no package manager: there is nothing in it that a request could be made to start. Which
# service a container is, is said by its command (/acquire, /heartbeat, …); there is no other entry.
FROM ${BASE} AS cloud
COPY root/ /
USER 65532:65532

FROM ${RUST} AS compiled
# The toolchain of the image, instead of a download of what rust-toolchain.toml names for people (rustfmt, clippy).
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /source
COPY . .
RUN cargo build --locked --profile dist -p license-local

FROM ${DEBIAN} AS local
# Debian makes and starts a cluster of its own unless it is told not to, before the server is installed.
RUN apt-get update \
 && apt-get install --no-install-recommends -y postgresql-common \
 && echo 'create_main_cluster = false' >>/etc/postgresql-common/createcluster.conf \
 && apt-get install --no-install-recommends -y ca-certificates postgresql redis-server \
 && rm -rf /var/lib/apt/lists/*
# PostgreSQL starts only as an account that has a name.
RUN useradd --system --uid 65532 --user-group --home-dir /data --no-create-home \
      --shell /usr/sbin/nologin license-local \
 && install -d -m 700 -o license-local -g license-local /data
COPY --from=compiled /source/target/dist/license-local /usr/local/bin/
USER 65532:65532
VOLUME /data
ENTRYPOINT ["license-local", "--data", "/data"]
