#!/usr/bin/env bash
# Posts the sample requests to a running platform, waits for their pictures and fails when one is missing.
#
#   STACK_NAME=sdoneksStack ./run.sh                      a deployed stack, in the account and region of the AWS CLI
#   LOCAL=1 ./run.sh                                      the platform that `make up` runs on this machine
#   LOCAL=1 RUNTIME_NAME=comfyruntime ./run.sh            one of its runtimes
#
# Variables and their defaults:
#   STACK_NAME      sdoneksStack   the CloudFormation stack
#   RUNTIME_NAME                   only this runtime; default: all of the platform
#   RUNTIME_TYPE                   only runtimes of this type, as sdwebui or bedrock
#   TASK_TYPES                     only these, as text-to-image,edit
#   API_VERSION                    only v1alpha2 or v1alpha1; v1alpha1 reaches sdwebui only, by the checkpoint
#   CDK_CONFIG_PATH config.yaml    what a deployed stack runs
#   MODEL_FILENAME                 the checkpoint to ask for; default: the runtime's own, or the samples'
#   WAIT_SECONDS    900            how long to wait; a first GPU node takes minutes
#   LOCAL                          1: verify the local platform; STACK_FILE names its stack.json (.local/stack.json)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [[ -n ${STACK_FILE:-} ]]; then
    STACK_FILE=$(realpath "$STACK_FILE")
    export STACK_FILE
fi
python=$root/.venv/bin/python
[[ -x $python ]] || python=python3

cd "$root"
exec "$python" -m deploy.verify
