#!/usr/bin/env bash
# Deploys the platform, or brings a deployed one up to date with config.yaml; -h lists the options.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=environment.sh
source "$here/environment.sh"

if has_option -h "$@" || has_option --help "$@"; then
    python=$(find_python)
    PYTHONPATH=$root exec "$python" -P -m deploy.rollout.options --help
fi
if ! has_option -T "$@" && ! has_option --skip-tools "$@"; then
    make_environment
fi
start deploy.rollout "$@"
