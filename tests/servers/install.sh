#!/usr/bin/env bash
# Installs the servers that tests/servers talks to, each in an environment of its own, DIR/NAME.
# Run again, it installs only what is missing or has changed.
# Usage: tests/servers/install.sh DIR [NAME...]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
target=$(cd "$1" && pwd)
shift

# Triton's stub for Python models breaks with 3.11.7 and works with the older one of Debian 12.
interpreter() {
  if [ "$1" = triton ] && [ -x /usr/bin/python3.11 ]; then echo /usr/bin/python3.11; else echo python3; fi
}

install_one() {
  name=$1 folder=$target/$1
  wanted=$(cat "$here/$name"/{requirements.txt,no-deps.txt,package.json,make_model.py} 2>/dev/null || true)
  if [ -f "$folder/installed" ] && [ "$wanted" = "$(cat "$folder/installed")" ]; then return; fi
  rm -rf "$folder"
  if [ -f "$here/$name/package.json" ]; then
    mkdir "$folder"
    cp "$here/$name/package.json" "$folder"
    npm install --prefix "$folder" --silent --ignore-scripts --no-audit --no-fund --no-package-lock
  else
    "$(interpreter "$name")" -m venv --without-pip "$folder"
    install=(python3 -m pip --quiet --python "$folder/bin/python" install)
    "${install[@]}" -r "$here/$name/requirements.txt"
    if [ -f "$here/$name/no-deps.txt" ]; then "${install[@]}" --no-deps -r "$here/$name/no-deps.txt"; fi
  fi
  if [ -f "$here/$name/make_model.py" ]; then
    "$folder/bin/python" "$here/$name/make_model.py" "$folder/model.onnx"
  fi
  printf '%s' "$wanted" > "$folder/installed"
  echo "installed $name after $SECONDS s"
}
export -f install_one interpreter
export here target

[ $# -gt 0 ] || set -- mlserver litserve openmoderate nudenet nsfwjs triton nsfwpy
printf '%s\n' "$@" | xargs -P 2 -I{} bash -euo pipefail -c 'install_one {}'
