#!/usr/bin/env bash
# Copies charts and images of others, and those named as arguments, into the account's ECR; prints mirrorRegistry for
# config.yaml. The public registries are read, and ECR is written: in China, run it where both can be reached.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=.venv/bin/python
[[ -x $python ]] || python=python3
exec "$python" -m deploy.images mirror "$@"
