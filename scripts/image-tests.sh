#!/usr/bin/env bash
# What is in the image, and that the program in it reaches repositories over https and ssh without a shell, as an ordinary
# user, from a root that cannot be written. Takes the root filesystem, and needs no container engine.
#
#   scripts/image-tests.sh PROGRAM
#
# Needs root, python3, openssl and sshd (openssh-server). The last line is for CI.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# = 1 ] || { echo "usage: scripts/image-tests.sh PROGRAM" >&2; exit 2; }
sshd=$(command -v sshd || echo /usr/sbin/sshd)
[ -x "$sshd" ] || { echo "openssh-server has to be installed" >&2; exit 1; }

work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
chmod 755 "$work"
passed=0 failed=0
check() { # WHAT COMMAND...
  local what=$1; shift
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $what"; fi
}
none() { [ -z "$(find "$root" "$@")" ]; }

root=$work/root
cp "$1" "$work/program" && strip "$work/program"
scripts/image-root.sh "$work/program" "$root"
size=$(tar -C "$root" -c . | gzip -c | wc -c)
echo "compressed: $((size / 1000)) kB"
check "it is under 40 MB" [ "$size" -lt 40000000 ]
check "there is no shell" none \( -name sh -o -name '*bash*' -o -name dash -o -name busybox \)
check "nothing runs with others' rights" none -type f -perm /6000
check "nothing can be written by everybody" none -not -type l -perm -002 -not -path "$root/tmp"

# --- repositories
mkdir -p "$work"/{data,keys,repository} /run/sshd
cp -r examples "$work/repository/"
git init --quiet --initial-branch=main "$work/repository"
git -C "$work/repository" add .
git -C "$work/repository" -c user.name=test -c user.email=test@example.com commit --quiet --message "The example customers"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout "$work/tls.key" -out "$work/tls.crt" -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost 2>/dev/null
ssh-keygen -q -t ed25519 -N '' -f "$work/host"
ssh-keygen -q -t ed25519 -N '' -f "$work/keys/id"
echo "[localhost]:22022 $(cut -d' ' -f1,2 "$work/host.pub")" >"$work/keys/known hosts"
cp "$work/tls.crt" "$work/keys/ca.crt"
cat >"$work/sshd_config" <<TEXT
ListenAddress 127.0.0.1:22022
HostKey $work/host
AuthorizedKeysFile $work/keys/id.pub
PidFile none
StrictModes no
TEXT
python3 scripts/git_server.py 127.0.0.1 22443 "$work" &
"$sshd" -D -f "$work/sshd_config" -E "$work/sshd.log" &
cat >"$work/keys/config.yaml" <<TEXT
data-dir: /var/lib/argocd-orchestrator
grpc: {listen: 127.0.0.1:22051}
sources:
  - name: by-https
    url: https://localhost:22443/repository/.git
    repository: example/https
    poll: 0s
    targets: [{ref: refs/heads/main, environment: production}]
  - name: by-ssh
    url: ssh://$(id -un)@localhost:22022$work/repository
    repository: example/ssh
    ssh-key: /etc/keys/id
    known-hosts: /etc/keys/known hosts
    poll: 0s
    targets: [{ref: refs/heads/main, environment: staging}]
TEXT
chown -R 65532:65532 "$work/data" "$work/keys"
chmod 400 "$work/keys/id"

# --- the program in its root, with what a pod mounts
mkdir -p "$root"/{dev,proc,etc/keys}
cat >"$work/enter" <<'TEXT'
set -euo pipefail
work=$1; shift
root=$work/root
mount --bind "$root" "$root"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount --bind "$work/data" "$root/var/lib/argocd-orchestrator"
mount --bind "$work/keys" "$root/etc/keys"
mount --bind /etc/hosts "$root/etc/hosts"
mount -o remount,bind,ro "$root"
exec chroot --userspec=65532:65532 "$root" /bin/argocd-orchestrator --config /etc/keys/config.yaml "$@"
TEXT
touch "$root/etc/hosts"
inside() { env -i PATH=/bin:/usr/bin GIT_SSL_CAINFO=/etc/keys/ca.crt "$(command -v unshare)" --mount "$(command -v bash)" -c '
  PATH=/usr/sbin:/usr/bin:/sbin:/bin; . "$0"' "$work/enter" "$work" "$@"; }
inside serve >"$work/serve.log" 2>&1 &
planned() { # SOURCE ENVIRONMENT
  local event
  event=$(inside deploy customer-a --source "$1" --environment "$2" --id "$1" | cut -d' ' -f1)
  for _ in $(seq 150); do
    case $(inside --output json events | python3 -c '
import json, sys
print("".join(e["state"] + str(e.get("reason") or "") for e in json.load(sys.stdin) if e["id"] == sys.argv[1]))' "$event") in
      planned*) return 0 ;;
      accepted*) sleep 0.2 ;;
      *) break ;;
    esac
  done
  inside events
  tail -5 "$work/serve.log" "$work/sshd.log"
  return 1
}
check "a repository is reached over https" planned by-https production
check "a repository is reached over ssh" planned by-ssh staging
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
