#!/usr/bin/env bash
# Deploys the image and the three stacks, in order, with the AWS CLI. Every change set is shown before
# it is carried out. docs/deploying.md says the same command by command.
#
#   NAME                      begins the stacks' names (siftbeam)
#   STACKS                    which of: data image compute observability (these four), operators
#   DATA_PARAMETERS, COMPUTE_PARAMETERS, OBSERVABILITY_PARAMETERS, OPERATORS_PARAMETERS
#                             Key=Value ..., beside what the script finds out; what is not named
#                             keeps its value
#   IMAGE_URI                 an image of yours; nothing is built then. COMPUTE_PARAMETERS=
#                             'ImageVersion=...' says which version is in it
#   ASK=no                    carry out without asking;  PLAN=yes  only show
set -euo pipefail
cd "$(dirname "$0")/.."

name=${NAME:-siftbeam}
stacks=${STACKS:-data image compute observability}
architecture=${ARCHITECTURE:-arm64}

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'deploy: %s\n' "$*" >&2; exit 1; }
wanted() { [[ " $stacks " == *" $1 "* ]]; }
aws_cloudformation() { aws cloudformation "$@" --output text; }

# An output, or a parameter, of the data stack: what the others have to have alike.
data_output() {
  aws_cloudformation describe-stacks --stack-name "$name-data" \
    --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue"
}

confirm() {
  [ "${ASK:-yes}" = no ] && return
  read -r -p "$1 [y/N] " answer </dev/tty || fail "nobody to ask: ASK=no carries out, PLAN=yes only shows"
  [[ $answer == [yY] ]] || fail "stopped; nothing of this stack was changed"
}

# Waits for the end of what CloudFormation does, and says what failed.
settled() {
  local status
  # What is carried out begins a moment after it was asked for; until then the old end still stands.
  sleep "${POLL_SECONDS:-5}"
  while status=$(aws_cloudformation describe-stacks --stack-name "$1" --query 'Stacks[0].StackStatus'); do
    case $status in
      CREATE_COMPLETE | UPDATE_COMPLETE) return ;;
      REVIEW_IN_PROGRESS | *_IN_PROGRESS) sleep "${POLL_SECONDS:-5}" ;;
      *) break ;;
    esac
  done
  aws cloudformation describe-stack-events --stack-name "$1" --output table \
    --query 'StackEvents[?contains(ResourceStatus, `FAILED`)].[LogicalResourceId, ResourceStatusReason] | [:10]'
  fail "stack $1 is $status"
}

# stack NAME TEMPLATE KEY=VALUE...: shows the change set, asks, carries it out.
stack() {
  local stack=$1 template=$2
  shift 2
  say "stack $stack"
  local before said change_set
  before=$(aws_cloudformation describe-stacks --stack-name "$stack" --query 'Stacks[0].StackStatus' 2>/dev/null || echo none)
  said=$(aws cloudformation deploy --stack-name "$stack" --template-file "$template" \
    --capabilities CAPABILITY_IAM --no-execute-changeset --no-fail-on-empty-changeset \
    ${1:+--parameter-overrides "$@"}) || fail "CloudFormation made no change set for $stack: $said"
  change_set=$(grep -o 'arn:[^ ]*:changeSet/[^ ]*' <<<"$said" | head -1 || true)
  if [ -z "$change_set" ]; then
    echo "nothing to change"
    return
  fi
  aws cloudformation describe-change-set --change-set-name "$change_set" --output table \
    --query 'Changes[].ResourceChange.{action:Action,replacement:Replacement,resource:LogicalResourceId,type:ResourceType}'
  if [ "${PLAN:-no}" = yes ]; then
    aws cloudformation delete-change-set --change-set-name "$change_set"
    # A stack that was only shown must not stand in the way of the first deployment.
    [ "$before" != none ] || aws cloudformation delete-stack --stack-name "$stack"
    return
  fi
  confirm "Carry this out on $stack?"
  aws cloudformation execute-change-set --change-set-name "$change_set"
  settled "$stack"
  echo "$stack is deployed"
}

image() {
  say "image"
  local repository tag release
  repository=$(data_output RepositoryUri)
  [ -n "$repository" ] && [ "$repository" != None ] || fail "stack $name-data has no RepositoryUri: deploy it first, or name IMAGE_URI"
  [ -z "$(git status --porcelain -- Dockerfile requirements producers worker infra pyproject.toml)" ] ||
    fail "uncommitted changes: an image is tagged with the commit it was built from"
  tag=$(git rev-parse --short=12 HEAD)-$architecture
  release=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
  image_version=$release+$(git rev-parse --short=12 HEAD)
  if ! digest "$repository" "$tag" >/dev/null 2>&1; then
    if [ "${PLAN:-no}" = yes ]; then
      IMAGE_URI=$repository:$tag
      echo "would build and push $IMAGE_URI"
      return
    fi
    aws ecr get-login-password | docker login --username AWS --password-stdin "${repository%%/*}"
    docker buildx build --platform "linux/$architecture" --push --tag "$repository:$tag" \
      --build-arg VERSION="$release" --build-arg REVISION="$(git rev-parse HEAD)" --build-arg CREATED="$(git log -1 --format=%cI)" \
      --build-arg SOURCE="$(git remote get-url origin 2>/dev/null || echo unknown)" .
  fi
  local pushed
  pushed=$(digest "$repository" "$tag") || fail "$repository has no $tag although it was pushed"
  IMAGE_URI=$repository@$pushed
  echo "$IMAGE_URI"
}

digest() {
  local found
  found=$(aws ecr describe-images --repository-name "${1#*/}" --image-ids imageTag="$2" \
    --query 'imageDetails[0].imageDigest' --output text) && [ "$found" != None ] && echo "$found"
}

compute() {
  local found=()
  local overrides=" ${COMPUTE_PARAMETERS:-} "
  # The default VPC and its public subnets, where nothing else is said and nothing stands yet.
  if [[ $overrides != *" VpcId="* ]] && ! aws_cloudformation describe-stacks --stack-name "$name-compute" >/dev/null 2>&1; then
    local vpc subnets
    vpc=$(aws ec2 describe-vpcs --filters Name=is-default,Values=true --query 'Vpcs[0].VpcId' --output text)
    [ "$vpc" != None ] || fail "no default VPC: name COMPUTE_PARAMETERS='VpcId=... SubnetIds=...'"
    subnets=$(aws ec2 describe-subnets --filters Name=vpc-id,Values="$vpc" Name=default-for-az,Values=true \
      --query 'Subnets[].SubnetId' --output text | tr '[:space:]' ',')
    found+=("VpcId=$vpc" "SubnetIds=${subnets%,}")
  fi
  local each
  for each in TablePrefix QueuePrefix BucketName OutputPrefix StripeSecretName; do
    found+=("$each=$(data_output "$each")")
  done
  # Of an image of yours the version is what you say it is, and not that of the one before it.
  [ -n "${IMAGE_URI:-}" ] && found+=("ImageUri=$IMAGE_URI" "ImageVersion=${image_version:-}")
  case $architecture in amd64) found+=("CpuArchitecture=X86_64") ;; *) found+=("CpuArchitecture=ARM64") ;; esac
  # shellcheck disable=SC2086 # Key=Value words
  stack "$name-compute" infra/compute.yaml "${found[@]}" ${COMPUTE_PARAMETERS:-}
}

command -v aws >/dev/null || fail "the AWS CLI is needed: https://docs.aws.amazon.com/cli/"
say "account $(aws sts get-caller-identity --query Account --output text), region $(aws configure get region || echo "${AWS_REGION:-${AWS_DEFAULT_REGION:-none}}")"
if wanted data; then
  # shellcheck disable=SC2086
  stack "$name-data" infra/data.yaml ${DATA_PARAMETERS:-}
fi
if [ "${PLAN:-no}" = yes ] && ! aws_cloudformation describe-stacks --stack-name "$name-data" >/dev/null 2>&1; then
  say "the other stacks can be shown once $name-data stands"
  exit
fi
if wanted image && [ -z "${IMAGE_URI:-}" ]; then image; fi
if wanted compute; then compute; fi
if wanted observability; then
  # shellcheck disable=SC2086
  stack "$name-observability" infra/observability.yaml "QueuePrefix=$(data_output QueuePrefix)" ${OBSERVABILITY_PARAMETERS:-}
fi
if wanted operators; then
  names=()
  for each in TablePrefix QueuePrefix BucketName StripeSecretName; do
    names+=("$each=$(data_output "$each")")
  done
  # shellcheck disable=SC2086
  stack "$name-operators" infra/operators.yaml "${names[@]}" ${OPERATORS_PARAMETERS:-}
  aws cloudformation describe-stacks --stack-name "$name-operators" --output table \
    --query 'Stacks[0].Outputs[].{policy:OutputValue,for:Description}'
fi
say "done; \`siftbeam-billing doctor\` says whether all is set up right"
