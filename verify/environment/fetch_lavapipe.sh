#!/usr/bin/env bash
# A software GPU with shader-f16 for tests, beside Chromium's SwiftShader, which has none: lavapipe of a recent Mesa, from Debian's
# packages (bookworm's own Mesa is too old, its backports are not). Nothing is installed and none of the system's sources changes:
# apt works with lists and a cache of its own, and what it fetches is unpacked into a folder.
#
# usage: fetch_lavapipe.sh [FOLDER]    default $XDG_CACHE_HOME/pgconv/lavapipe
# Prints the path of the driver's ICD file (VK_DRIVER_FILES). FOLDER/lib holds the driver, and of its libraries those that the
# system lacks and no others: it may stand in LD_LIBRARY_PATH of any program.
set -euo pipefail
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/pgconv/lavapipe}
icd=$folder/lvp.json

fail() {
  echo "fetch_lavapipe: $*" >&2
  exit 1
}
missing() { env -u LD_LIBRARY_PATH -u LD_PRELOAD LD_LIBRARY_PATH="$1" ldd "$1/libvulkan_lvp.so" | sed -n 's/^\s*\(\S*\) => not found$/\1/p'; }

if [ -e "$icd" ] && [ -z "$(missing "$folder/lib")" ]; then
  echo "$icd"
  exit
fi
. /etc/os-release 2>/dev/null || true
[ "${ID-}" = debian ] && command -v apt-get dpkg-deb ldd >/dev/null || fail "this is no Debian, whose packages it takes"
release=${VERSION_CODENAME:?}
suite=$release
[ "$release" != bookworm ] || suite=bookworm-backports

mkdir -p "$(dirname "$folder")"
# beside the folder, so that what is complete can be moved into place
work=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists,debs,root,done/lib}/ "$work/debs/partial" "$work/lists/partial"
for name in $release $suite; do
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $name main"
done | sort -u >"$work/sources.list"
apt() {
  apt-get -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$work/lists" \
    -o Dir::Cache::Archives="$work/debs" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Acquire::Retries=3 -o Acquire::Languages=none \
    -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 "$@" >&2
}
# the system's own packages count as there: only what is missing or older is fetched
fetch() { apt update && apt install --download-only --yes --no-install-recommends --target-release "$suite" mesa-vulkan-drivers; }
for attempt in 1 2 3; do
  fetch && break
  [ "$attempt" -lt 3 ] || fail "apt could not fetch mesa-vulkan-drivers of $suite"
  sleep $((attempt * 5))
done

for deb in "$work"/debs/*.deb; do dpkg-deb --extract "$deb" "$work/root"; done
take() {
  local file
  file=$(find "$work/root" -name "$1" -print -quit)
  [ -n "$file" ] || fail "$1 is neither on this machine nor in what apt fetched"
  cp -L "$file" "$work/done/lib/$1"
}
take libvulkan_lvp.so
while lacking=$(missing "$work/done/lib") && [ -n "$lacking" ]; do
  for name in $lacking; do take "$name"; done
done
version=$(sed -n 's/.*"api_version": "\([0-9.]*\)".*/\1/p' "$work"/root/usr/share/vulkan/icd.d/lvp_*.json | head -n 1)
printf '{ "file_format_version": "1.0.0", "ICD": { "library_path": "%s/lib/libvulkan_lvp.so", "api_version": "%s" } }\n' "$folder" "${version:?}" >"$work/done/lvp.json"
rm -rf "$folder"
mv "$work/done" "$folder"
echo "$icd"
