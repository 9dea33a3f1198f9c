#!/usr/bin/env bash
# Restarts a runtime's pods: restart.sh RUNTIME
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=environment.sh
source "$here/environment.sh"

make_environment
start deploy.restart "$@"
