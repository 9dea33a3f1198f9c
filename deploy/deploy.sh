#!/usr/bin/env bash
# Deploys the platform, or brings a deployed one up to date with config.yaml; -h lists the options.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=environment.sh
source "$here/environment.sh"

# -h and a wrong option need nothing that must be installed.
python=$(find_python)
PYTHONPATH=$root PYTHONDONTWRITEBYTECODE=1 "$python" -P -m deploy.rollout.options "$@"
if has_option -h "$@" || has_option --help "$@"; then
    exit
fi
if ! has_option -T "$@" && ! has_option --skip-tools "$@"; then
    make_environment
    if ! has_option --plan "$@"; then
        run deploy.rollout.credentials "$@"
        make_environment cdk
    fi
fi
start deploy.rollout "$@"
