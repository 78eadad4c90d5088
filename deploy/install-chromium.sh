#!/bin/sh
# Sees to it that a Chromium is there for the console's tests; where it may not install one, it says how.
# Exits 0 when there is one, or when the tests that need it may be left out; 1 where CI has to have it.
set -eu

found() {
    for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do
        if command -v "$name" >/dev/null 2>&1; then
            return 0
        fi
    done
    [ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ] \
        || [ -x "/Applications/Chromium.app/Contents/MacOS/Chromium" ]
}

installed_by_apt() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
    echo "Installing Chromium for the console's tests ..."
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >/dev/null && apt-get install -y -qq --no-install-recommends chromium >/dev/null
}

if found; then
    exit 0
fi
if installed_by_apt && found; then
    exit 0
fi

cat >&2 <<'END'
The console's tests drive a real Chromium, and none was found. To install it:
  Debian, Ubuntu   sudo apt-get install chromium
  Fedora           sudo dnf install chromium
  macOS            brew install --cask chromium
END
if [ "${CI:-}" = true ]; then
    echo "CI=true: stopping here, because CI has to run them." >&2
    exit 1
fi
echo "Going on without it." >&2
