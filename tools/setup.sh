#!/usr/bin/env bash
# Brings what the tests use beside Go: a few command line tools, in .venv the
# Python clients of interop/requirements.txt, in .venv-hpe HPE's, of
# interop/requirements-hpe.txt, and in .newman Postman's runner, of interop/newman. What cannot be had is said; under CI=true that is
# an error, else the tests that need it are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

missing() {
	echo "setup: $*" >&2
	if [ "${CI:-}" = true ]; then exit 1; fi
}

# command:package
tools=(curl:curl jq:jq openssl:openssl gcc:gcc ilorest:ilorest)
packages=()
for t in "${tools[@]}"; do
	command -v "${t%%:*}" >/dev/null || packages+=("${t##*:}")
done
if ! "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null; then
	packages+=(python3 python3-venv)
fi
if [ ${#packages[@]} -gt 0 ]; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "setup: installing ${packages[*]}"
		apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null ||
			missing "could not install ${packages[*]}"
	else
		missing "not installed here: ${packages[*]}"
	fi
fi

# clients DIR FILE WHOSE: a virtual environment with what FILE lists.
clients() {
	local want
	want=$(cksum < "$2")
	if [ "$(cat "$1/ready" 2>/dev/null)" = "$want" ]; then return; fi
	echo "setup: installing $3"
	if rm -rf "$1" && "$PYTHON" -m venv "$1" &&
		"$1/bin/pip" install -q --disable-pip-version-check -r "$2"; then
		echo "$want" > "$1/ready"
	else
		rm -rf "$1"
		missing "could not install $3 of $2"
	fi
}
clients .venv interop/requirements.txt "the Python clients"
clients .venv-hpe interop/requirements-hpe.txt "HPE's Python clients"

# Postman's runner, by the lock file.
newman() {
	local want
	want=$(cat interop/newman/package.json interop/newman/package-lock.json | cksum)
	if [ "$(cat .newman/ready 2>/dev/null)" = "$want" ]; then return; fi
	if ! command -v npm >/dev/null; then
		missing "newman needs npm (Node 16 or later)"
		return
	fi
	echo "setup: installing newman"
	if rm -rf .newman && mkdir .newman && cp interop/newman/package.json interop/newman/package-lock.json interop/newman/.npmrc .newman/ &&
		npm ci --prefix .newman --ignore-scripts --no-audit --no-fund --silent; then
		echo "$want" > .newman/ready
	else
		rm -rf .newman
		missing "could not install newman"
	fi
}
newman
