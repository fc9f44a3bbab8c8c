#!/usr/bin/env bash
# usage: docker/engine.sh COMMAND...
#
# Runs COMMAND where docker works. If no engine answers, one is started for it and ended afterwards. Its images stay in build/engine,
# or ENGINE_DATA, for the next time; of two at a time the second keeps nothing. That needs root, and apt-get where nothing is
# installed.
set -euo pipefail
[ $# -gt 0 ] || { echo "usage: docker/engine.sh COMMAND..." >&2; exit 2; }
if docker info > /dev/null 2>&1; then
    exec "$@"
fi
if [ "$(id -u)" != 0 ]; then
    echo "docker/engine.sh: no engine answers, and only root can start one" >&2
    exit 2
fi
if ! command -v dockerd > /dev/null || ! { docker compose version || docker-compose version; } > /dev/null 2>&1; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends docker.io docker-compose > /dev/null
fi

set -m # each job gets a process group: Ctrl-C reaches this script alone, which passes it on to the command only
state=$(mktemp -d)
data=${ENGINE_DATA:-$(dirname "$(realpath "$0")")/../build/engine}
mkdir -p "$data"
exec {lock}> "$data/lock"
flock --nonblock "$lock" || data=$state/data
export DOCKER_HOST=unix://$state/socket
dockerd --host "$DOCKER_HOST" --data-root "$data" --exec-root "$state/exec" --pidfile "$state/pid" \
    > "$state/log" 2>&1 &
engine=$!
stop() {
    kill "$engine" 2> /dev/null || true
    wait "$engine" || true
    rm -rf "$state"
}
trap stop EXIT

for _ in $(seq 300); do
    docker info > /dev/null 2>&1 && break
    kill -0 "$engine" 2> /dev/null || { cat "$state/log" >&2; exit 1; }
    sleep 0.1
done

"$@" &
command=$!
for signal in INT TERM HUP; do
    trap "kill -s $signal -- -$command 2> /dev/null || true" "$signal"
done
while true; do # a signal ends `wait`, not the command
    code=0
    wait "$command" || code=$?
    kill -0 "$command" 2> /dev/null || exit "$code"
done
