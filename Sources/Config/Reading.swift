// How the texts of values are read: words, paths, numbers, spans of time.

/// What became of a value's text.
enum Reading<Value> {
    case value(Value)
    /// The end of a sentence that begins with the assignment, remedy included.
    case refused(String)

    /// The same of another type.
    func map<Other>(_ body: (Value) -> Other) -> Reading<Other> {
        switch self {
        case .value(let value): .value(body(value))
        case .refused(let why): .refused(why)
        }
    }
}

/// sun_path holds 108 bytes with the NUL, unix(7).
let longestSocketPath = 107
/// PATH_MAX is 4096 with the NUL.
let longestPath = 4095

/// One of an enumeration's words.
func choice<Choice: RawRepresentable & CaseIterable>(_ text: String, what: String) -> Reading<Choice>
where Choice.RawValue == String {
    if let choice = Choice(rawValue: text) { return .value(choice) }
    let words = Choice.allCases.map(\.rawValue).joined(separator: ", ")
    return .refused("is no \(what); write one of: \(words)")
}

/// A path from the root, without `.`, `..` and empty parts: those would mean another place once a link is involved.
func absolutePath(_ text: String, longest: Int) -> Reading<String?> {
    let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard parts.count > 1, parts[0].isEmpty else {
        return .refused("is no absolute path; begin it with / and write it without quotes")
    }
    let isPlain = parts.dropFirst().allSatisfy { part in
        !part.isEmpty && !part.elementsEqual(".".utf8) && !part.elementsEqual("..".utf8)
    }
    guard isPlain else { return .refused("has an empty part, '.' or '..' in it; write the path without them") }
    guard !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
        return .refused("has a control character in it; remove it")
    }
    guard text.utf8.count <= longest else {
        return .refused("is \(text.utf8.count) bytes long; use a path of at most \(longest)")
    }
    return .value(text)
}

/// A whole number between two.
func number(_ text: String, from least: Int, to most: Int) -> Reading<Int> {
    let isDigits = text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    guard isDigits, let number = Int(text), (least...most).contains(number) else {
        return .refused("is no number that can be; write one from \(least) to \(most)")
    }
    return .value(number)
}

/// A span of time as systemd.time(7) writes it: numbers with units, added up; a number alone is seconds.
func timeSpan(_ text: String, from least: Duration, to most: Duration) -> Reading<Duration> {
    let units: [String: Int64] = [
        "": 1_000_000, "us": 1, "ms": 1000, "s": 1_000_000, "sec": 1_000_000, "m": 60_000_000, "min": 60_000_000,
        "h": 3_600_000_000, "hr": 3_600_000_000, "d": 86_400_000_000,
    ]
    var rest = text.utf8[...]
    var total: Int64 = 0
    let isDigit = { (byte: UInt8) in (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
    let isBlank = { (byte: UInt8) in byte == UInt8(ascii: " ") }
    while !rest.isEmpty {
        let digits = rest.prefix(while: isDigit)
        rest = rest[digits.endIndex...].drop(while: isBlank)
        let unit = rest.prefix { !isDigit($0) && !isBlank($0) }
        rest = rest[unit.endIndex...].drop(while: isBlank)
        guard let number = Int64(Substring(digits)), let factor = units[String(Substring(unit))] else {
            return .refused("is no span of time; write it like 2s, 500ms or 1min 30s")
        }
        let (product, tooLarge) = number.multipliedReportingOverflow(by: factor)
        let (sum, overflow) = total.addingReportingOverflow(product)
        guard !tooLarge, !overflow else { return .refused("is longer than anything can take") }
        total = sum
    }
    let span = Duration.microseconds(total)
    guard (least...most).contains(span) else {
        return .refused("is out of range; write something from \(least) to \(most)")
    }
    return .value(span)
}
