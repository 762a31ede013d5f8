#!/usr/bin/env bash
# Sets up a checkout: npm packages, the kernel table, and a Vulkan driver where there is none. Quick when all is there.
# RETINAFACE_SETUP_SWIFTSHADER=1 also installs the second software driver that the tests can run on.
set -euo pipefail
cd "$(dirname "$0")"
say() { printf 'setup: %s\n' "$*" >&2; }

if ! command -v node >/dev/null || [[ $(node -p 'process.versions.node.split(".")[0]') -lt 20 ]]; then
  say 'Node.js 20.12 or later is needed: https://nodejs.org'
  exit 1
fi

# npm keeps a copy of the lock file in node_modules; a difference in content means that something must be installed.
stamp=node_modules/.retinaface-lock
if ! cmp -s package-lock.json "$stamp" 2>/dev/null; then
  say 'installing npm packages'
  npm ci --no-audit --no-fund --loglevel=error >&2
  cp package-lock.json "$stamp"
fi
node tools/build-kernels.mjs

as_root() {
  if [[ $(id -u) -eq 0 ]]; then "$@"; else sudo -n "$@"; fi
}
can_install() {
  command -v apt-get >/dev/null && { [[ $(id -u) -eq 0 ]] || sudo -n true 2>/dev/null; }
}
packages() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

# An adapter that Dawn opens is the proof of a driver; files alone are not.
if ! node tools/has-adapter.mjs; then
  if [[ $(uname -s) != Linux ]]; then
    say 'no WebGPU adapter was found: update the graphics driver of this machine'
    exit 1
  fi
  if ! can_install; then
    say 'no Vulkan driver works here, and there is no apt with root rights to install one.'
    say 'Install a driver for your GPU, or Mesa 23 or later with its software driver (lavapipe):'
    say '  Debian 12:      apt install -t bookworm-backports mesa-vulkan-drivers libvulkan1   (with bookworm-backports enabled)'
    say '  Debian 13, Ubuntu 24.04:  apt install mesa-vulkan-drivers libvulkan1'
    say '  Fedora:         dnf install mesa-vulkan-drivers vulkan-loader'
    say '  Arch:           pacman -S vulkan-swrast vulkan-icd-loader'
    exit 1
  fi
  say 'installing the software Vulkan driver (Mesa lavapipe)'
  as_root apt-get update -qq >&2
  release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  if [[ $release == bookworm ]]; then
    # Debian 12's own Mesa 22.3 lacks a feature that Dawn needs.
    list=/etc/apt/sources.list.d/retinaface-backports.list
    if ! grep -rqs 'bookworm-backports' /etc/apt/sources.list /etc/apt/sources.list.d; then
      mirror=$(apt-cache policy | grep -oE 'https?://[^ ]+/debian/? bookworm/main' | head -n 1 | cut -d' ' -f1)
      echo "deb ${mirror:-http://deb.debian.org/debian} bookworm-backports main" | as_root tee "$list" >/dev/null
      as_root apt-get update -qq >&2
    fi
    packages -t bookworm-backports mesa-vulkan-drivers libvulkan1
  else
    packages mesa-vulkan-drivers libvulkan1
  fi
  if ! node tools/has-adapter.mjs; then
    say 'the driver was installed, yet no WebGPU adapter is found; `npm run -s retinaface -- doctor` says more'
    exit 1
  fi
fi

if [[ ${RETINAFACE_SETUP_SWIFTSHADER:-} == 1 && ! -e /usr/lib/chromium/libvk_swiftshader.so ]]; then
  if can_install; then
    say 'installing SwiftShader (in the package chromium)'
    as_root apt-get update -qq >&2
    packages chromium
  else
    say 'SwiftShader was asked for, and there is no apt with root rights to install the package chromium'
    exit 1
  fi
fi
