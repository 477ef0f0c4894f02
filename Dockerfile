# The image of server and steps: the program, git for https and ssh, CA certificates; no shell, no package manager.
# scripts/build-image.sh makes the same without base images.
#
#   docker build -t argocd-orchestrator:0.1.0 .

FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /src
COPY . .
# What is fetched and built stays between builds; the program is copied out of the cache.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --bin argocd-orchestrator \
    && cp target/dist/argocd-orchestrator /argocd-orchestrator

FROM debian:12.12-slim AS root
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git openssh-client ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /argocd-orchestrator /argocd-orchestrator
COPY scripts/image-root.sh /image-root.sh
RUN /image-root.sh /argocd-orchestrator /root-of-image

FROM scratch
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title=argocd-orchestrator \
      org.opencontainers.image.description="Deploys many services in dependency order through Argo CD" \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.source=https://github.com/rtte/argocd-orchestrator \
      org.opencontainers.image.licenses=MIT
COPY --from=root /root-of-image /
USER 65532:65532
WORKDIR /var/lib/argocd-orchestrator
ENV PATH=/bin:/usr/bin HOME=/var/lib/argocd-orchestrator
ENTRYPOINT ["/bin/argocd-orchestrator"]
CMD ["--help"]
