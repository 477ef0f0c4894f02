#!/usr/bin/env bash
# Prepares the root filesystem of the container image: the program, git for https and ssh with what they are linked to,
# CA certificates, and nothing else: no shell, no package manager.
#
#   scripts/image-root.sh PROGRAM FOLDER
#
# Everything but the program comes from this machine's packages (git, openssh-client, ca-certificates), so run it on
# what the program was built on or newer: Debian 12 in the Dockerfile.
set -euo pipefail

[ $# = 2 ] || { echo "usage: scripts/image-root.sh PROGRAM FOLDER" >&2; exit 2; }
program=$1 root=$2
[ -x "$program" ] || { echo "$program is no program" >&2; exit 1; }
git=$(command -v git) ssh=$(command -v ssh) || { echo "git and openssh-client have to be installed" >&2; exit 1; }
core=$(git --exec-path)
certificates=/etc/ssl/certs/ca-certificates.crt
[ -s "$certificates" ] || { echo "ca-certificates has to be installed" >&2; exit 1; }

rm -rf "$root"
mkdir -p "$root"/{bin,etc/ssl/certs,etc/ssh,usr/bin,usr/share/git-core/templates,"${core#/}",tmp,var/lib/argocd-orchestrator}
install -m 0755 "$program" "$root/bin/argocd-orchestrator"
install -m 0755 "$git" "$root/usr/bin/git"
install -m 0755 "$ssh" "$root/usr/bin/ssh"
install -m 0755 "$core/git-remote-http" "$root$core/git-remote-http"
ln -s git-remote-http "$root$core/git-remote-https"
install -m 0644 "$certificates" "$root$certificates"

# What the programs are linked to, by the names that they ask for, and the loader itself.
libraries() { ldd "$@" | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// && $2 ~ /^\(/ { print $1 }' | sort -u; }
for library in $(libraries "$root"/bin/argocd-orchestrator "$git" "$ssh" "$core/git-remote-http"); do
  mkdir -p "$root$(dirname "$library")"
  install -m 0755 "$(readlink -f "$library")" "$root$library"
done
# The C library loads these by name when it looks up hosts and users.
folder=$(dirname "$(libraries "$git" | grep '/libc\.so')")
for name in libnss_files.so.2 libnss_dns.so.2 libresolv.so.2; do
  if [ -e "$folder/$name" ]; then install -m 0755 "$(readlink -f "$folder/$name")" "$root$folder/$name"; fi
done

# ssh refuses to run for a user without a name.
cat >"$root/etc/passwd" <<'TEXT'
root:x:0:0:root:/nonexistent:/nonexistent
nonroot:x:65532:65532:nonroot:/var/lib/argocd-orchestrator:/nonexistent
TEXT
printf 'root:x:0:\nnonroot:x:65532:\n' >"$root/etc/group"
printf 'hosts: files dns\npasswd: files\ngroup: files\n' >"$root/etc/nsswitch.conf"
chmod 1777 "$root/tmp"
if [ "$(id -u)" = 0 ]; then
  chown -R 0:0 "$root"
  chown 65532:65532 "$root/var/lib/argocd-orchestrator"
fi
