#!/usr/bin/env bash
# load-image.sh NAME:TAG CONTAINERFILE CONTEXT: builds an image with buildah and gives it to the test cluster.
# In a pod: image: localhost/NAME:TAG with imagePullPolicy: IfNotPresent (no registry is needed).
set -euo pipefail
. "$(dirname "$0")/env.sh"
name=localhost/$1
tar=$(mktemp -u --suffix=.tar)
trap 'rm -f "$tar"' EXIT
buildah bud -q -f "$2" -t "$name" "$3" >/dev/null
buildah push -q "$name" "docker-archive:$tar:$name"
ctr images import "$tar" >/dev/null
echo "image $name"
