#!/usr/bin/env bash
# Builds the programs of the test cluster from their Go modules into $CLUSTER_HOME/bin; those already there are kept.
# CLUSTER_PARTS ("argocd rollouts" by default; there are "events" and "workflows" as well) says which of them beside Kubernetes itself.
# Cold: about half an hour on two cores, and some 15 GB of module and build cache. Needs Go 1.26 or newer, and gcc.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/env.sh"
bin=$CLUSTER_HOME/bin
mkdir -p "$bin"
export CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -buildvcs=false"

# build MODULE-FOLDER OUTPUT PACKAGE [EXTRA-LDFLAGS]
build() {
  [ -x "$bin/$2" ] && return
  local started=$SECONDS
  # Under another name until it is whole: what was interrupted is built again.
  (cd "$here/tools/$1" && go build -ldflags "-s -w ${4:-}" -o "$bin/.$2" "$3")
  mv "$bin/.$2" "$bin/$2"
  echo "built $2 in $((SECONDS - started)) s"
}
# install OUTPUT PACKAGE@VERSION
install() {
  [ -x "$bin/$1" ] && return
  local started=$SECONDS
  GOBIN=$bin go install -ldflags "-s -w" "$2"
  echo "built $1 in $((SECONDS - started)) s"
}
# compile OUTPUT SOURCE
compile() {
  [ "$bin/$1" -nt "$2" ] || gcc -O2 -Wall -Werror -static -o "$bin/$1" "$2"
}

# Without a version in the binary, clients fail to parse "v0.0.0-master+$Format".
version="-X k8s.io/component-base/version.gitVersion=v1.34.3 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34"
for program in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
  build kubernetes "$program" "k8s.io/kubernetes/cmd/$program" "$version"
done
# Debian's 3.4 lacks RequestWatchProgress: newer clients' watches fail on it.
build etcd etcd go.etcd.io/etcd/server/v3
install coredns github.com/coredns/coredns@v1.12.4
if part argocd; then
  build argo-cd argocd github.com/argoproj/argo-cd/v3/cmd
  install helm helm.sh/helm/v3/cmd/helm@v3.19.5
fi
if part rollouts; then
  build argo-rollouts rollouts-controller github.com/argoproj/argo-rollouts/cmd/rollouts-controller
fi
if part events; then
  build argo-events argo-events github.com/argoproj/argo-events/cmd
  install nats-server github.com/nats-io/nats-server/v2@v2.12.3
fi
# The module of Argo Workflows lacks two things that its own build makes: a symlink (module archives leave them out) and
# the web UI. Both are put into a vendor folder that lives as long as the build.
if part workflows && { [ ! -x "$bin/argoexec" ] || [ ! -x "$bin/workflow-controller" ] || [ ! -x "$bin/argo" ]; }; then
  started=$SECONDS
  work=$(mktemp -d "$CLUSTER_HOME/argo-workflows.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cp "$here"/tools/argo-workflows/* "$work/"
  # Ends with an error for the packages that only the left-out parts need; what the programs need is there.
  (cd "$work" && go mod vendor 2>/dev/null || true)
  wf=$work/vendor/github.com/argoproj/argo-workflows/v4
  ln -sf signal_darwin.go "$wf/workflow/executor/osspecific/signal_linux.go"
  mkdir -p "$wf/ui/dist/app" && echo '<html></html>' >"$wf/ui/dist/app/index.html"
  for program in workflow-controller argoexec argo; do
    (cd "$work" && go build -mod=vendor -ldflags "-s -w" -o "$bin/.$program" "github.com/argoproj/argo-workflows/v4/cmd/$program")
    mv "$bin/.$program" "$bin/$program"
  done
  echo "built argo-workflows in $((SECONDS - started)) s"
fi
compile pause "$here/images/pause.c"
compile health "$here/images/health.c"
echo "the test cluster's programs are in $bin"
