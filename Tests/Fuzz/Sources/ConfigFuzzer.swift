// vfiogroupd.conf: any bytes give a configuration, or mistakes that name a line that is there.

import Config

func fuzzConfig(_ input: UnsafeRawBufferPointer) {
    let bytes = Array(input)
    let lines = bytes.count { $0 == UInt8(ascii: "\n") } + 1
    // The same file as a drop-in after itself: later assignments replace earlier ones.
    for texts in [1, 2].map({ Array(repeating: ConfigurationText(file: "input", bytes: bytes), count: $0) }) {
        do throws(ConfigurationError) { _ = try Configuration(reading: texts) } catch {
            require(!error.mistakes.isEmpty, "an error without a mistake")
            for mistake in error.mistakes {
                let isThere = mistake.line.map { (1...lines).contains($0) } ?? true
                require(isThere, "\(mistake) is in none of \(lines) lines")
            }
        }
    }
}
