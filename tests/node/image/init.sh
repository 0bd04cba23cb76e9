#!/bin/sh
# Stands in for an exported image and its Supervisor: dispatches on $1 as the image does (supervisor.md §3), demands of files
# and environment what the Supervisor demands (§0), then answers as its gateway does. Says what it was given and what it misses.
case "$1" in -*) set -- run acme/web "$@" ;; esac
echo "args: $*"
echo "id: $(id -u):$(id -g)"

fail() { echo "exit $1: $2"; exit "$1"; }
writable() { ( : >"$1/.written" ) 2>/dev/null; }

[ "$1" = run ] || fail 2 "no run"
case "$HAB_LICENSE" in accept*) ;; *) fail 1 "no licence" ;; esac
for folder in /hab/sup /hab/svc /hab/launcher /hab/cache /tmp; do
  writable $folder || fail 1 "cannot write $folder"
done
# Who is not root keeps keys below HOME, and opens that folder even without a key.
keys=$HOME/.hab/cache/keys
[ "$(id -u)" = 0 ] || { mkdir -p "$keys" && ls "$keys"; } >/dev/null 2>&1 || fail 1 "cannot open $keys"

# The service: its folders are made by the Supervisor; its files get the service's user where that is possible.
health=200
service=/hab/svc/web
mkdir -p $service/hooks 2>/dev/null && writable $service/hooks || health=500
for folder in $service/data $service/files; do
  [ ! -e $folder ] || writable $folder || health=500
done
[ "$(id -u)" != 0 ] || [ ! -e $service/files ] || chown -R 42:42 $service/files || health=500
echo "health: $health"
export health
exec nc -ll -p "${HAB_LISTEN_HTTP##*:}" -e /gateway.sh
