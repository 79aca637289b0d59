# syntax=docker/dockerfile:1
# One node of Atoll: docker build -t atoll . && docker run … atoll serve --config /etc/atoll/node.toml
# deploy/compose.yaml runs three. The image has no settings: mount them, or set ATOLL_SECTION__KEY.

FROM rust:1.95.0-bookworm AS build
WORKDIR /src
COPY . .
# The image's own toolchain, which is rust-toolchain.toml's, without the components that only tests need.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin atoll && \
    install -D target/release/atoll /out/atoll

FROM debian:bookworm-slim
# Certificates for object stores, curl for the health check.
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates curl && \
    rm -rf /var/lib/apt/lists/* && \
    useradd --system --uid 10001 --home-dir /var/lib/atoll --create-home --shell /usr/sbin/nologin atoll && \
    chmod 0750 /var/lib/atoll
COPY --from=build /out/atoll /usr/local/bin/atoll
USER 10001
VOLUME /var/lib/atoll
# gRPC, HTTP, peers, other regions (UDP), gossip (UDP)
EXPOSE 6570 6571 6572 6573/udp 6574/udp
# SIGTERM hands the node's shards over first: docker stop --time 45.
STOPSIGNAL SIGTERM
# Healthy is what may take traffic: a node without a cluster is not, and says why.
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 \
    CMD ["sh", "-c", "curl -fsS http://${ATOLL_HEALTH:-127.0.0.1:6571}/readyz"]
ENTRYPOINT ["atoll"]
CMD ["serve", "--config", "/etc/atoll/node.toml"]
