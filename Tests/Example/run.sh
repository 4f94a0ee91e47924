#!/bin/bash
# Builds the launcher of this folder as somebody else would, from a version of this package and nothing else, and runs it
# against a daemon on the built-in machine: `make example`. VFIOGROUPD=FILE is that daemon, instead of the one that is built
# here. What is built is what is committed.
set -euo pipefail
cd "$(dirname "$0")/../.."

# What the pages show is what is built here.
for page in README.md Sources/VFIOGroupClient/VFIOGroupClient.docc/VFIOGroupClient.md; do
    [[ $(<"$page") == *"$(sed 1,2d Tests/Example/Sources/launcher/main.swift)"* ]] ||
        { echo "$page shows another launcher than Tests/Example/Sources/launcher/main.swift"; exit 1; }
done

scratch=$(mktemp -d)
daemon=
finish() {
    if [ -n "$daemon" ]; then
        kill "$daemon" 2>/dev/null || true
        wait "$daemon" || true
    fi
    rm -rf "$scratch"
}
trap finish EXIT

if [ -z "${VFIOGROUPD:-}" ]; then
    swift build --product vfiogroupd
    VFIOGROUPD=.build/debug/vfiogroupd
fi

# The folder has the package's name, which SwiftPM takes from the URL. The tag is the clone's alone.
git clone --quiet --bare . "$scratch/vfiogroupd"
git -C "$scratch/vfiogroupd" tag --force 0.0.1 >/dev/null
export VFIOGROUPD_URL=file://$scratch/vfiogroupd

# A copy, so that no Package.resolved stays; and nothing of this clone in the user's caches and fingerprints.
mkdir "$scratch/launcher"
cp -R Tests/Example/Package.swift Tests/Example/Sources "$scratch/launcher"
swiftpm() {
    swift "$1" --package-path "$scratch/launcher" --cache-path "$scratch/cache" --config-path "$scratch/config" \
        --security-path "$scratch/security" "${@:2}"
}

# SwiftPM wants what our command line depends on as well. Our own build has fetched it: that works offline.
for fetched in .build/repositories/swift-argument-parser-*; do
    [ -d "$fetched" ] || break
    ln -s "$PWD/$fetched" "$scratch/swift-argument-parser"
    swiftpm package config set-mirror --original https://github.com/apple/swift-argument-parser \
        --mirror "file://$scratch/swift-argument-parser" >/dev/null
    break
done
swiftpm build --disable-index-store --quiet

# Where a daemon that is simulating listens, and a client looks first.
export XDG_RUNTIME_DIR=$scratch/run
mkdir --mode=700 "$XDG_RUNTIME_DIR"
"$VFIOGROUPD" --simulate demo 2>"$scratch/daemon.log" &
daemon=$!
# A tenth of a second is between two looks only; a minute is the deadline.
for _ in {1..600}; do
    if grep -q ': listening on ' "$scratch/daemon.log"; then break; fi
    kill -0 "$daemon" || { cat "$scratch/daemon.log"; exit 1; }
    sleep 0.1
done
"$scratch/launcher/.build/debug/launcher" | tee "$scratch/output"

for line in 'pci0000-00_01.0_00.0 available \["0000:01:00.0", "0000:01:00.1"\]' \
    'handed over: iommufd (descriptor [0-9]*)' 'handed over: 0000:01:00.0 (descriptor [0-9]*)' \
    'handed over: 0000:01:00.1 (descriptor [0-9]*)' 'given back: released'; do
    grep -q "^$line\$" "$scratch/output" || { echo "the launcher did not print: $line"; exit 1; }
done
