#!/usr/bin/env bash
# Makes stand-ins for the base images, from what is on this machine, for where no registry can
# be reached: busybox with the Go toolchain and the CA bundle; busybox as a machine of Lambda, by
# its documented entry point; PostgreSQL, as Debian installs it; what takes mail and webhooks.
# They are tagged sentinel-standin/NAME, so that none is taken for the real one.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
busybox=$(command -v busybox) || { echo "busybox is not installed (Debian: apt-get install busybox-static)" >&2; exit 1; }

# root NAME: a folder with a shell, and users.
root() {
  local dir=$work/$1
  mkdir -p "$dir"/{bin,etc/ssl/certs,tmp,usr/bin,usr/local/bin,var/runtime,var/task}
  chmod 1777 "$dir/tmp"
  cp "$busybox" "$dir/bin/busybox"
  for applet in $("$busybox" --list | grep -vx busybox); do ln -sf busybox "$dir/bin/$applet"; done
  printf 'root:x:0:0::/root:/bin/sh\npostgres:x:70:70::/var/lib/postgresql:/bin/sh\n' >"$dir/etc/passwd"
  printf 'root:x:0:\npostgres:x:70:\n' >"$dir/etc/group"
  cp -L /etc/ssl/certs/ca-certificates.crt "$dir/etc/ssl/certs/"
  echo "$dir"
}

# import NAME CHANGE…: makes the image of the folder.
import() {
  local name=$1 changes=()
  shift
  for change in "$@"; do changes+=(--change "$change"); done
  tar -C "$work/$name" -c . | docker import "${changes[@]}" - "sentinel-standin/$name" >/dev/null
  rm -rf "${work:?}/$name"
}

# libraries DIR PROGRAM…: copies the libraries that programs need.
libraries() {
  local dir=$1
  shift
  { ldd "$@" 2>/dev/null || true; } | awk '{for (i = 1; i <= NF; i++) if ($i ~ /^\/.*[^:]$/) print $i}' | sort -u | while read -r library; do
    mkdir -p "$dir$(dirname "$library")"
    cp -L "$library" "$dir$library"
  done
}

dir=$(root go)
mkdir -p "$dir/usr/local/go"
cp -a "$(go env GOROOT)/." "$dir/usr/local/go/"
import go "ENV PATH=/usr/local/go/bin:/usr/bin:/bin"

dir=$(root lambda)
cp lambda-entrypoint.sh "$dir/lambda-entrypoint.sh"
CGO_ENABLED=0 go build -o "$dir/usr/local/bin/aws-lambda-rie" ./runtime
import lambda 'ENTRYPOINT ["/lambda-entrypoint.sh"]' "WORKDIR /var/task" "ENV LAMBDA_TASK_ROOT=/var/task"

dir=$(root postgres)
server=$(dirname "$(ls -d /usr/lib/postgresql/*/bin/postgres | tail -n 1)")
version=$(basename "$(dirname "$server")")
ln -s ../run "$dir/var/run"
mkdir -p "$dir/usr/lib/postgresql" "$dir/usr/share/postgresql" "$dir/usr/share/zoneinfo" "$dir/var/lib/postgresql" "$dir/run"
cp -a "/usr/lib/postgresql/$version" "$dir/usr/lib/postgresql/"
cp -aL "/usr/share/postgresql/$version" "$dir/usr/share/postgresql/"
cp -a /usr/share/zoneinfo/. "$dir/usr/share/zoneinfo/"
libraries "$dir" "$server"/* "$server"/../lib/*.so
cp postgres-entrypoint.sh "$dir/postgres-entrypoint.sh"
import postgres 'ENTRYPOINT ["/postgres-entrypoint.sh"]' "ENV PATH=/usr/lib/postgresql/$version/bin:/usr/bin:/bin"

dir=$(root receiver)
CGO_ENABLED=0 go build -o "$dir/receiver" ./receiver
import receiver 'ENTRYPOINT ["/receiver"]'

