#!/usr/bin/env bash
# Makes an EBS snapshot of a Bottlerocket data volume that holds container images, so that nodes need not pull them.
# Progress goes to stderr. Whatever happens, nothing but the finished snapshot stays.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: snapshot.sh [options] IMAGE[,IMAGE…]

Makes an EBS snapshot that holds the images, from a temporary Bottlerocket instance.

  -h, --help               show this text
  -r, --region REGION      where to make it (default: the AWS CLI's region)
  -a, --ami PARAMETER      SSM parameter with the AMI (default: the current Bottlerocket for Kubernetes 1.36)
  -A, --arch ARCHITECTURE  amd64 or arm64 (default: amd64)
  -i, --instance-type TYPE instance that pulls the images (default: m6i.large, for arm64 m6g.large)
  -e, --encrypt            encrypt the snapshot
  -k, --kms-id KEY         with this key in place of the account's for EBS; implies -e
  -s, --snapshot-size GIB  size of the volume (default: 80)
  -R, --instance-role NAME existing role for the instance (default: one is made, and deleted)
      --subnet-id ID       subnet of the instance, with a way to the internet (default: one of the default VPC;
                           where there is none, a network is made, and deleted)
  -d, --daemonsets         also the images of all DaemonSets of the cluster that kubectl talks to, which each node needs
                           before it takes pods; leave IMAGE out for these alone
  -q, --quiet              print nothing but the snapshot's ID
TEXT
}

say() { [[ $quiet ]] || echo "$*" >&2; }

fail() {
    echo "snapshot.sh: $*" >&2
    exit 1
}

region='' ami='' arch=amd64 instance_type='' encrypted=false kms_key='' size=80 role='' subnet='' quiet='' images='' network='' daemonsets=''

parse() {
    while (($#)); do
        case $1 in
            -h | --help) usage && exit 0 ;;
            -e | --encrypt) encrypted=true ;;
            -d | --daemonsets) daemonsets=yes ;;
            -q | --quiet) quiet=yes ;;
            -r | --region | -a | --ami | -A | --arch | -i | --instance-type | -k | --kms-id | -s | --snapshot-size | -R | --instance-role | --subnet-id)
                (($# > 1)) || fail "$1 needs a value"
                take "$1" "$2"
                shift
                ;;
            -*) fail "there is no option $1; -h lists them" ;;
            *) images=$images,$1 ;;
        esac
        shift
    done
}

take() {
    case $1 in
        -r | --region) region=$2 ;;
        -a | --ami) ami=$2 ;;
        -A | --arch) arch=$2 ;;
        -i | --instance-type) instance_type=$2 ;;
        -k | --kms-id) kms_key=$2 encrypted=true ;;
        -s | --snapshot-size) size=$2 ;;
        -R | --instance-role) role=$2 ;;
        --subnet-id) subnet=$2 ;;
    esac
}

# Those for Windows cannot be pulled here.
images_of_daemonsets() {
    local name words word
    kubectl get daemonsets --all-namespaces --output jsonpath="{range .items[*]}{.metadata.name}\
{' '}{.spec.template.spec.initContainers[*].image}{' '}{.spec.template.spec.containers[*].image}{'\n'}{end}" |
        while read -r name words; do
            [[ $name == *windows* ]] && continue
            for word in $words; do echo "$word"; done
        done | sort -u
}

check() {
    local found
    if [[ $daemonsets ]]; then
        found=$(images_of_daemonsets) || fail "kubectl could not list the DaemonSets; --daemonsets needs its access to the cluster"
        for image in $found; do
            [[ ,$images, == *,$image,* ]] || images=$images,$image
        done
    fi
    case $arch in
        amd64) : "${ami:=/aws/service/bottlerocket/aws-k8s-1.36/x86_64/latest/image_id}" "${instance_type:=m6i.large}" ;;
        arm64) : "${ami:=/aws/service/bottlerocket/aws-k8s-1.36/arm64/latest/image_id}" "${instance_type:=m6g.large}" ;;
        *) fail "-A $arch is neither amd64 nor arm64" ;;
    esac
    [[ $size =~ ^[1-9][0-9]*$ ]] || fail "-s $size is no number of GiB"
    IFS=, read -ra image_list <<<"${images#,}"
    ((${#image_list[@]})) || fail "name at least one image; -h shows how"
    for image in "${image_list[@]}"; do
        # Names go into a command for the instance: nothing but an image's own characters may.
        [[ $image =~ ^[A-Za-z0-9][A-Za-z0-9._/:@-]*$ ]] || fail "'$image' is no image"
    done
}

# Ends by a signal wait for no more than the running call to AWS.
pause() {
    sleep "${POLL_SECONDS:-5}" &
    wait $!
}

# wait_for STATE SECONDS COMMAND…: returns when the command prints that state, with 1 when it prints one that is final.
wait_for() {
    local wanted=$1 until=$((SECONDS + $2)) state
    shift 2
    while :; do
        state=$("$@") || fail "AWS did not answer: $*"
        [[ $state == "$wanted" ]] && return
        [[ $state =~ ^(.*FAILED|.*ROLLBACK.*|error|terminated|Failed|Cancelled|TimedOut|Undeliverable)$ ]] && return 1
        ((SECONDS < until)) || fail "this took too long: $* is still '$state'"
        pause
    done
}

stack_state() {
    aws cloudformation describe-stacks --stack-name "$stack" --query 'Stacks[0].StackStatus' --output text
}

agent_state() {
    aws ssm describe-instance-information --filters "Key=InstanceIds,Values=$instance" \
        --query 'InstanceInformationList[0].PingStatus' --output text
}

command_state() {
    aws ssm list-command-invocations --command-id "$1" --query 'CommandInvocations[0].Status' --output text
}

instance_state() {
    aws ec2 describe-instances --instance-ids "$instance" --query 'Reservations[0].Instances[0].State.Name' --output text
}

snapshot_state() {
    aws ec2 describe-snapshots --snapshot-ids "$snapshot" --query 'Snapshots[0].State' --output text
}

# Where EC2 has no default subnet, it launches nothing that names none.
choose_network() {
    network=default
    [[ $subnet ]] && return
    [[ $(aws ec2 describe-subnets --filters Name=default-for-az,Values=true Name=state,Values=available \
        --query 'length(Subnets)' --output text) == 0 ]] || return 0
    network=own
    say "There is no default subnet here: the instance gets a network of its own"
}

launch() {
    say "[1/5] Launching a $instance_type"
    # Named before it is made: a signal that comes in between finds it.
    stack=bottlerocket-images-cache-$(date +%Y%m%d%H%M%S)-$$
    aws cloudformation create-stack --stack-name "$stack" --capabilities CAPABILITY_IAM \
        --template-body "file://$(dirname "${BASH_SOURCE[0]}")/snapshot.yaml" \
        --tags "Key=made-by,Value=bottlerocket-images-cache" --parameters \
        "ParameterKey=Ami,ParameterValue=$ami" "ParameterKey=InstanceType,ParameterValue=$instance_type" \
        "ParameterKey=Size,ParameterValue=$size" "ParameterKey=Encrypted,ParameterValue=$encrypted" \
        "ParameterKey=KmsKey,ParameterValue=$kms_key" "ParameterKey=Role,ParameterValue=$role" \
        "ParameterKey=Subnet,ParameterValue=$subnet" "ParameterKey=Network,ParameterValue=$network" >/dev/null
    wait_for CREATE_COMPLETE 900 stack_state || fail "the instance could not be launched; the events of stack $stack say why:
$(aws cloudformation describe-stack-events --stack-name "$stack" --output text \
        --query "StackEvents[?ends_with(ResourceStatus, 'FAILED')].[LogicalResourceId, ResourceStatusReason]")"
    instance=$(aws cloudformation describe-stacks --stack-name "$stack" --query 'Stacks[0].Outputs[0].OutputValue' --output text)
    say "[2/5] Waiting for $instance to take commands"
    wait_for Online 600 agent_state
}

# host-ctr is what Bottlerocket itself pulls with: it gets ECR's password from the instance's role, so that none stands in
# a command. The label keeps the kubelet from deleting images when the disk fills.
pull() {
    local image=$1 command
    say "[3/5] Pulling $image"
    command=$(aws ssm send-command --instance-ids "$instance" --document-name AWS-RunShellScript \
        --query Command.CommandId --output text --parameters "{\"executionTimeout\": [\"3600\"], \"commands\": [\"$(
            echo -n "apiclient exec admin sheltie host-ctr --containerd-socket=/run/containerd/containerd.sock" \
                "--namespace=k8s.io pull-image --source=$image --registry-config=/etc/host-containers/host-ctr.toml" \
                "--label=io.cri-containerd.pinned=pinned"
        )\"]}")
    wait_for Success 3900 command_state "$command" || fail "$image could not be pulled:
$(aws ssm get-command-invocation --command-id "$command" --instance-id "$instance" --query StandardErrorContent --output text)"
}

take_snapshot() {
    local volume image number=0 tags="{Key=Name,Value=$stack},{Key=made-by,Value=bottlerocket-images-cache}"
    for image in "${image_list[@]}"; do
        tags+=",{Key=image-$((number += 1)),Value=$image}"
    done
    say "[4/5] Stopping the instance, so that all is on the disk"
    aws ec2 stop-instances --instance-ids "$instance" >/dev/null
    wait_for stopped 600 instance_state
    volume=$(aws ec2 describe-instances --instance-ids "$instance" --output text \
        --query "Reservations[0].Instances[0].BlockDeviceMappings[?DeviceName=='/dev/xvdb'].Ebs.VolumeId")
    say "[5/5] Writing the snapshot of $volume"
    writing=yes
    snapshot=$(aws ec2 create-snapshot --volume-id "$volume" --description "Bottlerocket data volume with images" \
        --tag-specifications "ResourceType=snapshot,Tags=[$tags]" \
        --query SnapshotId --output text)
    wait_for completed 7200 snapshot_state || fail "the snapshot failed"
    finished=yes
}

stack='' instance='' snapshot='' writing='' finished=''

# Leaves nothing that costs money; each step is tried whatever became of the one before.
clean_up() {
    local code=$? left
    trap '' INT TERM
    trap - EXIT
    set +e
    if [[ $writing && ! $finished ]]; then
        say "Deleting the unfinished snapshot"
        for left in $(written || echo "$snapshot"); do
            aws ec2 delete-snapshot --snapshot-id "$left" >&2 || left_over "snapshot $left"
        done
    fi
    if [[ $stack ]]; then
        say "Deleting the instance and its role"
        { aws cloudformation delete-stack --stack-name "$stack" >&2 && gone; } || left_over "stack $stack"
    fi
    exit "$code"
}

# A signal may come before the new snapshot's ID; its name is known.
written() {
    aws ec2 describe-snapshots --owner-ids self --filters "Name=tag:Name,Values=$stack" \
        --query 'Snapshots[].SnapshotId' --output text
}

gone() {
    local until=$((SECONDS + 900)) state
    while ((SECONDS < until)); do
        state=$(stack_state 2>&1)
        # Within a trap, a bare return would hand on the status from before it.
        [[ $state == *"does not exist"* ]] && return 0
        [[ $state == DELETE_FAILED ]] && return 1
        pause
    done
    return 1
}

left_over() {
    echo "snapshot.sh: $1 could not be deleted; delete it by hand" >&2
    code=1
}

parse "$@"
check
export AWS_PAGER=''
[[ $region ]] && export AWS_REGION=$region AWS_DEFAULT_REGION=$region
command -v aws >/dev/null || fail "the AWS CLI is not there"
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
choose_network
launch
for image in "${image_list[@]}"; do
    pull "$image"
done
take_snapshot
if [[ $quiet ]]; then echo "$snapshot"; else echo "Snapshot: $snapshot"; fi
