#!/usr/bin/env bash
# Stops what up.sh started, by its own pids, and removes $CLUSTER_HOME/run.
set -uo pipefail
. "$(dirname "$0")/env.sh"
stop() { for n in "$@"; do pid=$(cat "$CLUSTER_RUN/pid/$n" 2>/dev/null) && ours "$pid" && kill "$pid"; done; }
stop argo-events nats argocd-server argocd-applicationset argocd-controller argocd-repo-server redis rollouts-controller kubelet kube-proxy coredns kube-scheduler kube-controller-manager
sleep 1
for t in $(ctr tasks ls -q 2>/dev/null); do ctr tasks kill -s KILL "$t" 2>/dev/null; done
sleep 1
for t in $(ctr tasks ls -q 2>/dev/null); do ctr tasks rm -f "$t" >/dev/null 2>&1; done
for p in $(pgrep -f "containerd-shim-runc-v2 .*$CONTAINERD_ADDRESS"); do kill "$p" 2>/dev/null; done
stop containerd kube-apiserver
sleep 1
stop etcd
sleep 1
for n in "$CLUSTER_RUN"/pid/*; do pid=$(cat "$n" 2>/dev/null) && ours "$pid" && kill -9 "$pid"; done
grep -o " $CLUSTER_RUN[^ ]*" /proc/mounts | sort -r | xargs -r -n1 umount -l 2>/dev/null
for ns in $(ip netns list 2>/dev/null | awk '/^cni-/{print $1}'); do ip netns del "$ns"; done
ip link del cni0 2>/dev/null; ip link del cluster0 2>/dev/null
for t in nat filter mangle; do iptables-save -t $t 2>/dev/null | grep -v -e KUBE- -e CNI- | iptables-restore -T $t 2>/dev/null; done
rm -rf "$CLUSTER_RUN" /var/lib/cni/networks/cluster
echo down
