# Programs of the npm registry that only check this repository. `tests/diagrams/run` and `tests/types/run` read this; nothing here runs by itself.

# npm_tools TOOLS NAME NOT_CHECKED: sets cache to a directory outside the clone that has what TOOLS/package-lock.json pins, under NAME and a sum
# of what is pinned; it is installed if it is not there. Without Node.js, and where it cannot be installed, it says what was NOT checked: without
# Node.js it returns 1, since a machine need not have it, and where the installation failed it ends this program.
npm_tools() {
  local tools=$1 name=$2 not_checked=$3 pins part
  if ! command -v npm >/dev/null 2>&1 || ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' 2>/dev/null; then
    echo "Node.js 20 or newer, with npm, is not here: $not_checked NOT checked." >&2
    return 1
  fi
  pins=$(cksum <"$tools/package-lock.json" | tr ' ' '-')
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/coditect-license-server/$name-$pins
  [ ! -d "$cache" ] || return 0
  mkdir -p "${cache%/*}"
  part=$(mktemp -d "${cache%/*}/part.XXXXXX")
  echo "Installing the packages of ${tools#"$PWD"/} into $cache" >&2
  cp "$tools/package.json" "$tools/package-lock.json" "$part"
  if ! npm ci --prefix "$part" --ignore-scripts --no-audit --no-fund >"$part.log" 2>&1; then
    tail -n 20 "$part.log" >&2
    rm -rf "$part" "$part.log"
    echo "They could not be installed, so $not_checked NOT checked." >&2
    exit 1
  fi
  rm -f "$part.log"
  # Of two runs at once each finds a whole directory.
  mv -T "$part" "$cache" 2>/dev/null || mv "$part" "$cache" 2>/dev/null || rm -rf "$part"
}
