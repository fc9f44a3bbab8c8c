#!/usr/bin/env bash
# usage: docker/image.sh [TAG]
#
# Builds the image (default: resumable:local), unless it is there as the sources are, where no registry can be reached: the base
# from this machine, the wheels from wherever its pip finds them. With a registry, plain `docker build` does it; see docker/README.md.
#
# PYTHON names the interpreter that base and wheels are for (default: python3).
set -euo pipefail
cd "$(dirname "$0")/.."
tag=${1:-resumable:local}
python=${PYTHON:-python3}

# All that decides what is in the image; where it is there already, nothing is downloaded and nothing built.
sources=$({
    "$python" -VV
    cat docker/Dockerfile docker/base_from_host.sh docker/requirements.txt docker/compose.yaml pyproject.toml
    find .build .src samplers launch -type f -not -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum
} | sha256sum | cut -d ' ' -f 1)
if [ "$(docker image inspect --format '{{index .Config.Labels "resumable.sources"}}' "$tag" 2> /dev/null)" = "$sources" ]; then
    exit 0
fi

docker image inspect resumable-base:local > /dev/null 2>&1 || docker/base_from_host.sh resumable-base:local > /dev/null
"$python" -m pip download --quiet --no-deps --dest build/wheels --requirement docker/requirements.txt
docker build --network none --tag "$tag" --label "resumable.sources=$sources" --file docker/Dockerfile \
    --build-arg BASE=resumable-base:local --build-arg "PIP_OPTIONS=--no-index --find-links=wheels" .
