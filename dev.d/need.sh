# What this code needs of the system it is built on: looked for, and installed where that can be done. `dev` reads it; nothing here runs by itself.

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
die() {
  printf '%s\n' "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# --- Rust --------------------------------------------------------------------------------------------------------------------------

need_rust() {
  if ! have cargo && [ -x "$HOME/.cargo/bin/cargo" ]; then PATH="$HOME/.cargo/bin:$PATH"; fi
  local wanted found
  wanted=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
  have cargo || die "Rust is missing. Install it with the two lines of https://rustup.rs (they need curl and ca-certificates) and start again:
  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y
  . \"\$HOME/.cargo/env\""
  # With rustup this also fetches the toolchain that rust-toolchain.toml names, and shows that it does.
  found=$(cargo --version | cut -d' ' -f2)
  if [ "$(printf '%s\n' "$wanted" "${found%%-*}" | sort -V | head -n1)" != "$wanted" ]; then
    die "Rust $found is too old: this needs $wanted. With rustup: rustup toolchain install $wanted"
  fi
}

# A fresh clone takes over what another clone of this has compiled: the same dependencies, minutes saved. Our own crates are left out;
# cargo decides by itself whether it can use the rest.
warm_build() {
  local dir from part
  dir=$(cargo metadata --no-deps --offline --format-version 1 2>/dev/null | sed -n 's/.*"build_directory":"\([^"]*\)".*/\1/p')
  if [ -z "$dir" ] || [ -d "$dir/debug" ]; then return 0; fi
  from=$(find "${dir%/*/*}" -mindepth 3 -maxdepth 3 -type d -name debug -exec ls -dt {} + 2>/dev/null | head -n1) || true
  [ -n "$from" ] || return 0
  say "Taking over the dependencies another clone has built"
  mkdir -p "$dir"
  part=$(mktemp -d "$dir/part.XXXXXX")
  # File times are what cargo compares; tar keeps them. A clone that builds right now may change files under it: then start without.
  if (cd "$from" && tar -cf - --exclude='./incremental' --exclude='*license[-_]*' .) | tar -xpf - -C "$part"; then
    mv "$part" "$dir/debug" 2>/dev/null || rm -rf "$part"
    # Somebody else was first: then mv has put this one inside of theirs.
    rm -rf "$dir/debug/${part##*/}"
  else
    rm -rf "$part"
  fi
}

# Puts the temporary files of tests in memory where there are 4 GB for them and programs may run there, else in /tmp: the account that the
# stores run as under root must reach them, which it cannot where somebody has a TMPDIR of his own. On a disk that others keep busy a durable
# PostgreSQL waits for seconds at every commit. A client does not wait that long: it goes on without its file, and a test that looks for the
# file fails.
temporary_files_in_memory() {
  export TMPDIR=/tmp
  local probe
  probe=$(mktemp /dev/shm/probe.XXXXXX 2>/dev/null) || return 0
  printf '#!/bin/sh\n' >"$probe"
  chmod +x "$probe"
  if [ "$(df -Pk /dev/shm | awk 'NR == 2 { print $4 }')" -gt 4000000 ] && "$probe" 2>/dev/null; then TMPDIR=/dev/shm; fi
  rm -f "$probe"
}

# --- What the system must have -----------------------------------------------------------------------------------------------------

has_postgres() {
  have initdb && have postgres && return
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || compgen -G '/usr/pgsql-*/bin/initdb' >/dev/null ||
    compgen -G '/opt/homebrew/opt/postgresql@*/bin/initdb' >/dev/null ||
    compgen -G '/usr/local/opt/postgresql@*/bin/initdb' >/dev/null
}
# Tried, not looked for: a compiler may be there without the C library's headers, and macOS has a cc that only offers to install one.
has_compiler() { have cc && printf '#include <stdio.h>\n' | cc -x c -fsyntax-only - 2>/dev/null; }
has_redis() { have redis-server; }
# Debian's python3 comes without what makes environments.
has_python() { python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }

# need THING...: things are postgres redis compiler python curl openssl ps; missing ones are installed, all in one step.
need() {
  local thing missing=()
  for thing in "$@"; do
    case $thing in
      postgres | redis | compiler | python) "has_$thing" || missing+=("$thing") ;;
      *) have "$thing" || missing+=("$thing") ;;
    esac
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  case $(uname -s) in
    Darwin) install_with_brew "${missing[@]}" ;;
    *) if have apt-get; then install_with_apt "${missing[@]}"; else
      die "Missing: ${missing[*]}. Install them with this system's package manager and start again
(postgres: the PostgreSQL server, 15 or newer, with initdb on PATH · redis: redis-server, 7 or newer · compiler: a C compiler as cc · python: Python 3.10 or newer with venv)."
    fi ;;
  esac
}

install_with_brew() {
  have brew || die "Missing: $*. Install Homebrew (https://brew.sh) and start again, or install them yourself."
  local thing packages=()
  for thing in "$@"; do
    case $thing in
      postgres) packages+=(postgresql@17) ;;
      compiler) die "There is no C compiler. Type: xcode-select --install" ;;
      ps) ;;
      *) packages+=("$thing") ;;
    esac
  done
  [ ${#packages[@]} -eq 0 ] || {
    say "Installing ${packages[*]} with brew (nothing is started)"
    brew install "${packages[@]}"
  }
}

install_with_apt() {
  local thing packages=()
  for thing in "$@"; do
    case $thing in
      postgres) packages+=(postgresql) ;;
      redis) packages+=(redis-server) ;;
      python) packages+=(python3 python3-venv) ;;
      compiler) packages+=(gcc libc6-dev) ;;
      ps) packages+=(procps) ;;
      *) packages+=("$thing") ;;
    esac
  done
  if [ "$(id -u)" -ne 0 ] && ! { have sudo && sudo true; }; then
    die "Missing: $*. Only root may install them, and this account cannot become root. As root, type this line, then start again:
  apt-get update && apt-get install -y ${packages[*]}"
  fi
  say "Installing ${packages[*]} with apt-get (a minute or two)"
  # One source that does not answer is no reason to stop: the others may have what is needed.
  apt update || say "apt-get update failed; going on with what was known before"
  case " $* " in *" postgres "*) without_main_cluster install_packages "${packages[@]}" ;; *) install_packages "${packages[@]}" ;; esac
}

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }
# dpkg wants the system's programs on PATH; after a plain `su` they are not. Who else installs something now is waited for.
apt() { as_root env PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=600 "$@"; }

# Debian starts what it installs. Ours are private children; a server of the system that nobody asked for must not appear:
# RUNLEVEL=1 (above) stops init scripts, a mask until the next boot stops systemd, and what was not there before is not enabled.
install_packages() {
  local unit units=() masked=()
  case " $* " in *" postgresql "*) units+=(postgresql) ;; esac
  case " $* " in *" redis-server "*) units+=(redis-server) ;; esac
  if [ -d /run/systemd/system ]; then masked=(${units[@]+"${units[@]}"}); fi
  for unit in ${masked[@]+"${masked[@]}"}; do as_root systemctl mask --runtime --quiet "$unit.service"; done
  local failed=0
  apt install --no-install-recommends -y "$@" || failed=1
  for unit in ${masked[@]+"${masked[@]}"}; do as_root systemctl unmask --runtime --quiet "$unit.service"; done
  # Also where systemd does not run now: the machine may be an image that is started later. This knows both kinds of start.
  for unit in ${units[@]+"${units[@]}"}; do
    as_root env PATH="$PATH:/usr/sbin:/sbin" update-rc.d "$unit" disable >/dev/null 2>&1 || true
  done
  [ $failed -eq 0 ] || die "apt-get could not install $*; its words are above."
}

# Keeps Debian from making a cluster on port 5432 while the command runs; its setting is put back afterwards.
without_main_cluster() {
  local conf=/etc/postgresql-common/createcluster.conf kept
  apt install --no-install-recommends -y postgresql-common
  [ -f "$conf" ] || die "$conf is not there: this system's PostgreSQL is packaged in a way not known here. Install PostgreSQL yourself."
  kept=$(mktemp)
  cp "$conf" "$kept"
  printf '%s\n' 'create_main_cluster = false' | as_root tee -a "$conf" >/dev/null
  # In a subshell: whatever happens in there, the setting is put back.
  local failed=0
  ("$@") || failed=1
  as_root cp "$kept" "$conf"
  rm -f "$kept"
  [ $failed -eq 0 ] || exit 1
}
