#!/usr/bin/env bash
# Posts the sample requests to a running platform, waits for their pictures and fails when one is missing.
#
#   STACK_NAME=sdoneksStack RUNTIME_TYPE=sdwebui ./run.sh      a deployed stack, in the account and region of the AWS CLI
#   LOCAL=1 ./run.sh                                           the platform that `make up` runs on this machine
#
# Variables and their defaults:
#   STACK_NAME      sdoneksStack   the CloudFormation stack
#   RUNTIME_TYPE    sdwebui        sdwebui: text-to-image, image-to-image and (v1alpha2) upscaling; comfyui: a pipeline;
#                                  flux: text-to-image, image-to-image, inpainting and edit
#   TASK_TYPES                     only these, as text-to-image,edit: a model of type flux seldom does all four
#   RUNTIME_NAME    sdruntime      the runtime's name in config.yaml
#   API_VERSION     v1alpha2       v1alpha1 reaches sdwebui only, by the checkpoint
#   MODEL_FILENAME                 the checkpoint to ask for; default: the samples' own
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
