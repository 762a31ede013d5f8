#!/usr/bin/env bash
# Installs what the tests of this folder talk to, where it is missing: Redis, GNU parallel and Open MPI,
# Debian's packages.
set -euo pipefail
say() { printf 'setup: %s\n' "$*" >&2; }
as_root() {
  if [[ $(id -u) -eq 0 ]]; then "$@"; else sudo -n "$@"; fi
}

missing=()
command -v redis-server >/dev/null || missing+=(redis-server)
command -v parallel >/dev/null || missing+=(parallel)
command -v mpirun >/dev/null || missing+=(openmpi-bin)
if ((${#missing[@]} == 0)); then exit 0; fi
if ! command -v apt-get >/dev/null || { [[ $(id -u) -ne 0 ]] && ! sudo -n true 2>/dev/null; }; then
  say "these tests need ${missing[*]}, and there is no apt with root rights to install them"
  exit 1
fi
say "installing ${missing[*]}"
as_root apt-get update -qq >&2
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
