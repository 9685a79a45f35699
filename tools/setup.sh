#!/usr/bin/env bash
# Brings what the tests use beside Go: a few command line tools and, in .venv,
# the Python clients of interop/requirements.txt. What cannot be had is said;
# under CI=true that is an error, else the tests that need it are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

missing() {
	echo "setup: $*" >&2
	if [ "${CI:-}" = true ]; then exit 1; fi
}

# command:package
tools=(curl:curl jq:jq openssl:openssl gcc:gcc)
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

want=$(cksum < interop/requirements.txt)
if [ "$(cat .venv/ready 2>/dev/null)" != "$want" ]; then
	echo "setup: installing the Python clients"
	if rm -rf .venv && "$PYTHON" -m venv .venv &&
		.venv/bin/pip install -q --disable-pip-version-check -r interop/requirements.txt; then
		echo "$want" > .venv/ready
	else
		rm -rf .venv
		missing "could not install the Python clients of interop/requirements.txt"
	fi
fi
