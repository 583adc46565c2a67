#!/usr/bin/env bash
# Makes the environment, or finds it made, and puts it on PATH for the steps that follow.
set -euo pipefail

export VENV="${VENV:-$PWD/.venv}"
TORCH_INDEX="${INDEX:-}"
if [[ -z "$TORCH_INDEX" && "${HOSTED:-false}" == true && -f .github/torch-index ]]; then
  TORCH_INDEX="$(tr -d '[:space:]' < .github/torch-index)"
fi
export TORCH_INDEX

if ! make --question setup; then
  if [[ "${HOSTED:-false}" == true && -z "$TORCH_INDEX" ]]; then
    echo "::error::No index of CPU builds of torch is known, and pip's own would bring CUDA: write its URL into" \
      ".github/torch-index, or set the repository variable TORCH_INDEX (which pull requests from forks do not get)."
    exit 2
  fi
  make setup
fi

if [[ "${HOSTED:-false}" == true ]]; then
  "$VENV/bin/python" -c 'import sys, torch; sys.exit(torch.version.cuda and f"torch {torch.__version__} brings CUDA: TORCH_INDEX must be an index of CPU builds.")'
fi
echo "$VENV/bin" >> "$GITHUB_PATH"
