#!/usr/bin/env bash
# Prints the API key of a deployment; -h lists the options.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=environment.sh
source "$here/environment.sh"

make_environment
start deploy.print_key "$@"
