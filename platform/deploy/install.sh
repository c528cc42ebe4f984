#!/usr/bin/env bash
# The environment of a node, every version from the lock: platform/deploy/install.sh cpu|gpu|auto [gcp]
#
# auto: gpu where the machine has NVIDIA's driver, else cpu. PINRANK_ENVIRONMENT: where it goes, ~/pinrank-env by default.
set -euo pipefail

lock=${1:?cpu, gpu or auto}
environment=${PINRANK_ENVIRONMENT:-$HOME/pinrank-env}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
PATH=$HOME/.local/bin:$PATH

if [ "$lock" = auto ]; then
    lock=cpu
    if command -v nvidia-smi >/dev/null; then lock=gpu; fi
fi

# The CPU set leaves out what would pull in CUDA builds, and takes PyTorch's own CPU build.
options=(--requirements "$root/requirements/$lock.txt")
if [ "$lock" = cpu ]; then
    options+=(--torch-backend cpu --excludes "$root/requirements/cpu-excludes.txt")
fi
for more in "${@:2}"; do
    options+=(--requirements "$root/requirements/$more.txt")
done

uv venv --quiet --allow-existing --python 3.11 "$environment"
uv pip install --quiet --compile-bytecode --python "$environment/bin/python" "${options[@]}"
uv pip install --quiet --no-deps --python "$environment/bin/python" --editable "$root"
