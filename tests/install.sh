#!/usr/bin/env bash
# Builds the wheel and the sdist and installs each the ways that people do; in every one the command must answer,
# plan and report on a tree, and bring its manual pages and completions. Needs a package index, python, pipx and uv.
set -euo pipefail
source=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python -m build --outdir "$work/dist" "$source" >"$work/build.log" 2>&1 || { tail -20 "$work/build.log"; exit 1; }
wheel=$(ls "$work"/dist/*.whl)
sdist=$(ls "$work"/dist/*.tar.gz)
bytes=$(stat -c %s "$wheel")
echo "wheel: $bytes bytes"
[ "$bytes" -lt 1000000 ] || { echo "the wheel is too large"; exit 1; }

check() {  # name, command
  local checkpoint=checkpoints/0123456789abcdef0123456789abcdef_20260201_041227
  mkdir -p "$work/$1/$checkpoint" "$work/$1/mlruns/0"
  cd "$work/$1"
  touch "$checkpoint/last.ckpt"
  printf 'artifact_location: mlruns/0\nexperiment_id: "0"\nlifecycle_stage: active\nname: Default\n' > mlruns/0/meta.yaml
  "$2" --version
  "$2" scan checkpoints | grep -q '^legacy'
  local code=0
  "$2" plan checkpoints --tracking-uri mlruns >/dev/null 2>&1 || code=$?
  [ "$code" = 3 ] || { echo "$1: plan ended with $code"; exit 1; }
  "$2" report plan.yaml >/dev/null
  "$2" schema plan | grep -q json-schema
  "$2" recipes hydra >mine.yaml
  "$2" scan . --migration mine.yaml >/dev/null
  "$2" completions bash | bash -n
  cd "$source"
  echo "$1: works"
}

for kind in wheel sdist; do
  python -m venv "$work/env-$kind"
  "$work/env-$kind/bin/python" -m pip install --quiet --disable-pip-version-check "${!kind}"
  check "pip-$kind" "$work/env-$kind/bin/ckpt-migrate"
  [ -e "$work/env-$kind/share/man/man1/ckpt-migrate.1" ] || { echo "pip-$kind: no manual page"; exit 1; }
done
PIPX_HOME="$work/pipx" PIPX_BIN_DIR="$work/pipx-bin" PIPX_MAN_DIR="$work/pipx-man" pipx install --quiet "$wheel"
check pipx "$work/pipx-bin/ckpt-migrate"
[ -e "$work/pipx-man/man1/ckpt-migrate-plan.1" ] || { echo "pipx: no manual page"; exit 1; }
UV_TOOL_DIR="$work/tools" UV_TOOL_BIN_DIR="$work/bin" uv tool install --quiet "$wheel"
check uv-tool "$work/bin/ckpt-migrate"
