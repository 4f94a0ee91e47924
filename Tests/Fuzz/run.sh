#!/bin/bash
# Builds the fuzzers and runs them, each for FUZZ_SECONDS: `make fuzz`. What they find, and the inputs that led to new code,
# are kept in .build-fuzz; they begin with the seeds that are committed and with what lies in the repository anyway.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${FUZZ_SECONDS:-60}
all="config idl journal json kernel-text machine pci snapshot varlink"
targets=${FUZZ_TARGET:-$all}
folder=$PWD/.build-fuzz
# A debug build is there sooner, and reads a tenth as much afterwards.
configuration=${FUZZ_CONFIGURATION:-release}
fuzzer=$folder/$configuration/vfiogroupd-fuzz

# With testing, because most readers are nobody else's business.
build() {
    VFIOGROUPD_FUZZ=1 swift build -c "$configuration" --scratch-path "$folder" --sanitize fuzzer \
        -Xswiftc -enable-testing --product vfiogroupd-fuzz
}

# The words of the interfaces and of the configuration: no chance finds a field's name letter by letter.
dictionary() {
    grep -ohE '[A-Za-z_]{3,}' Sources/*/*.varlink Sources/Takeover/Journal/*.varlink config/vfiogroupd.conf |
        sort -u | sed 's/.*/"&"/' >"$folder/words"
}

# seeds TARGET FOLDER: copies what the repository has for a fuzzer into a folder.
seeds() {
    if [ -d "Tests/Fuzz/Seeds/$1" ]; then cp Tests/Fuzz/Seeds/"$1"/* "$2"; fi
    case $1 in
        idl) cp Sources/*/*.varlink Sources/Takeover/Journal/*.varlink Tests/Varlink/Support/*.varlink "$2" ;;
        config) cp config/vfiogroupd.conf "$2" ;;
        snapshot) cp Sources/HostSnapshot/Resources/demo.json "$2" ;;
        pci)
            # Configuration spaces of captured machines; many are the same.
            local tree capture
            tree=$(mktemp -d)
            for capture in Tests/Fixtures/captures/*.tar.gz; do tar xzf "$capture" -C "$tree" --wildcards '*/config'; done
            find "$tree" -name config -type f -size +0 | while read -r file; do
                cp "$file" "$2/$(sha1sum <"$file" | cut -c 1-16)"
            done
            rm -r "$tree"
            ;;
    esac
}

# fuzz TARGET: runs one fuzzer; whether it found nothing.
fuzz() {
    local corpus=$folder/corpus/$1 begin log=$folder/$1.log
    begin=$(mktemp -d)
    mkdir -p "$corpus" "$folder/found"
    seeds "$1" "$begin"
    if FUZZ_TARGET=$1 "$fuzzer" "$corpus" "$begin" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -max_len=16384 -dict="$folder/words" -use_value_profile=1 -print_final_stats=1 -artifact_prefix="$folder/found/$1-" >"$log" 2>&1
    then
        echo "fuzz $1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs, nothing found"
    else
        tail -n 30 "$log"
        echo "fuzz $1: FAILED; again with FUZZ_TARGET=$1 $fuzzer FILE, the input being the file that is named above"
        rm -r "$begin"
        return 1
    fi
    rm -r "$begin"
}

main() {
    build
    dictionary
    local target failed=0
    for target in $targets; do fuzz "$target" || failed=1; done
    return $failed
}

main
