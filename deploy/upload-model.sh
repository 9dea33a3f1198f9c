#!/usr/bin/env bash
# Puts a model, a file or a folder, into the model bucket: upload-model.sh FILE-or-URL FOLDER BUCKET
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=environment.sh
source "$here/environment.sh"

make_environment
start deploy.models "$@"
