#!/bin/sh
# Installs Azure's clients into an environment of their own, and prints its Python. `azure` is the CLI:
# `$(...) -m azure.cli` is `az`; `azure-sdk` are the libraries, of which the CLI needs other versions.
# The environment is named for the lock file, so that nothing is installed twice.
set -eu

here=$(cd "${0%/*}" && pwd)
lock=$here/${1:-azure}.lock
bin=$(cd "$here/../../.venv/bin" && pwd)
cache=${TOWROPE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/towrope}/azure

hash_of='import hashlib, pathlib, sys
files = b"".join(pathlib.Path(name).read_bytes() for name in sys.argv[1:])
print(hashlib.sha256(files + sys.version.encode()).hexdigest()[:16])'
key=$("$bin/python" -c "$hash_of" "$lock" "$here/install-azure.sh")
folder=$cache/$key
if [ -d "$folder" ]; then
    echo "$folder/bin/python"
    exit 0
fi

mkdir -p "$cache"
work=$(mktemp -d "$cache/.$key.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "Installing what ${lock##*/} names, for its tests (less than a minute, once) ..." >&2
"$bin/uv" venv -q --relocatable --python "$bin/python" "$work/made"
VIRTUAL_ENV=$work/made "$bin/uv" pip sync -q --require-hashes --only-binary :all: "$lock" >&2

# Another run may have been quicker; its folder is as good.
mv -T "$work/made" "$folder" 2>/dev/null || [ -d "$folder" ] || mv "$work/made" "$folder"
echo "$folder/bin/python"
