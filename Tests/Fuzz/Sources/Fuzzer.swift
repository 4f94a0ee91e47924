// What libFuzzer calls. One program holds all fuzzers, so that one build and one link serve them: FUZZ_TARGET names the
// one that runs.

import Glibc

/// Reads one input. It traps where the program would, and where what must hold does not.
typealias Fuzzer = @Sendable (UnsafeRawBufferPointer) -> Void

/// All fuzzers, by name.
let fuzzers: [String: Fuzzer] = [
    "json": fuzzJSON, "varlink": fuzzVarlink, "idl": fuzzIDL, "config": fuzzConfig, "pci": fuzzPCI,
    "machine": fuzzMachine, "snapshot": fuzzSnapshot, "kernel-text": fuzzKernelText, "journal": fuzzJournal,
]

private let chosen: Fuzzer = {
    let name = getenv("FUZZ_TARGET").map { String(cString: $0) } ?? ""
    guard let fuzzer = fuzzers[name] else {
        print("FUZZ_TARGET is one of \(fuzzers.keys.sorted().joined(separator: " ")), and not \"\(name)\"")
        exit(2)
    }
    return fuzzer
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    chosen(UnsafeRawBufferPointer(start: start, count: count))
    return 0
}

/// Something that must hold whatever the input is.
func require(_ condition: Bool, _ message: @autoclosure () -> String) {
    if !condition { fatalError(message()) }
}
