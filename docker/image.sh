#!/usr/bin/env bash
# usage: docker/image.sh [TAG]
#
# Builds the image (default: resumable:local) where no registry can be reached: the base from this machine, the wheels from
# wherever its pip finds them. With a registry, plain `docker build` does it; see docker/README.md.
#
# PYTHON names the interpreter that base and wheels are for (default: python3).
set -euo pipefail
cd "$(dirname "$0")/.."
tag=${1:-resumable:local}

docker image inspect resumable-base:local > /dev/null 2>&1 || docker/base_from_host.sh resumable-base:local > /dev/null
"${PYTHON:-python3}" -m pip download --quiet --no-deps --dest build/wheels --requirement docker/requirements.txt
docker build --network none --tag "$tag" --file docker/Dockerfile \
    --build-arg BASE=resumable-base:local --build-arg "PIP_OPTIONS=--no-index --find-links=wheels" .
