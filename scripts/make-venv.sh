#!/bin/sh
# Make a virtual environment; on a Debian whose Python lacks ensurepip, say or fetch what is missing.
set -eu
python=$1
venv=$2
if "$python" -m venv "$venv" 2>/dev/null; then
    exit 0
fi
rm -rf "$venv"
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    apt-get update -qq
    apt-get install -y -qq python3-venv >/dev/null
    exec "$python" -m venv "$venv"
fi
echo "Could not make a virtual environment with $python." >&2
echo "On Debian or Ubuntu: sudo apt-get install python3-venv, then run again." >&2
exit 1
