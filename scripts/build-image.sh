#!/usr/bin/env bash
# Builds the container image without any base image: the program, built here, and what image-root.sh puts beside it.
# The Dockerfile makes the same where base images can be had.
#
#   scripts/build-image.sh [--tag=NAME:TAG] [--program=FILE] [--archive=FILE]
#
#   --tag=NAME:TAG   its name; argocd-orchestrator:VERSION
#   --program=FILE   this program, instead of one built with the profile `dist` (slow to build, small and fast)
#   --archive=FILE   also as a docker-archive, for `docker load` or `ctr images import`
#
# Needs Linux, buildah, git, openssh-client and ca-certificates. Run as root, or with `buildah unshare`.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
tag=argocd-orchestrator:$version
program= archive=
for argument in "$@"; do
  case $argument in
    --tag=*) tag=${argument#*=} ;;
    --program=*) program=${argument#*=} ;;
    --archive=*) archive=${argument#*=} ;;
    *) echo "usage: scripts/build-image.sh [--tag=NAME:TAG] [--program=FILE] [--archive=FILE]" >&2; exit 2 ;;
  esac
done
command -v buildah >/dev/null || { echo "buildah has to be installed" >&2; exit 1; }
if [ -z "$program" ]; then
  cargo build --locked --profile dist --bin argocd-orchestrator
  program=${CARGO_TARGET_DIR:-target}/dist/argocd-orchestrator
fi

work=$(mktemp -d)
container=
trap '[ -z "$container" ] || buildah rm "$container" >/dev/null; rm -rf "$work"' EXIT
cp "$program" "$work/program"
strip "$work/program"
scripts/image-root.sh "$work/program" "$work/root"
# The same content is the same image, whenever it is made.
created=$(git log -1 --format=%ct 2>/dev/null || echo 0)
container=$(buildah from scratch)
buildah copy -q "$container" "$work/root" / >/dev/null
buildah config \
  --user 65532:65532 --workingdir /var/lib/argocd-orchestrator \
  --env PATH=/bin:/usr/bin --env HOME=/var/lib/argocd-orchestrator \
  --entrypoint '["/bin/argocd-orchestrator"]' --cmd '["--help"]' \
  --label org.opencontainers.image.title=argocd-orchestrator \
  --label org.opencontainers.image.description="Deploys many services in dependency order through Argo CD" \
  --label org.opencontainers.image.version="$version" \
  --label org.opencontainers.image.revision="$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
  --label org.opencontainers.image.source=https://github.com/rtte/argocd-orchestrator \
  --label org.opencontainers.image.licenses=MIT \
  "$container"
# Without a name of a registry in it: kubelet and `docker` have their own ideas which one is meant.
name=localhost/$tag
buildah commit -q --timestamp "$created" "$container" "$name" >/dev/null
if [ -n "$archive" ]; then
  rm -f "$archive"
  buildah push -q "$name" "docker-archive:$archive:$name"
fi
size=$(tar -C "$work/root" -c . | gzip -c | wc -c)
echo "image $name: $((size / 1000000)) MB compressed"
