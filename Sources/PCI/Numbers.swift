// Strict numbers as sysfs writes them. The standard library's radix initialisers accept a leading "+", which no
// kernel file has.

/// Reads digits of `radix` 10 or 16 and nothing else; nil for an empty text, any other character, or more than 64 bits.
@inlinable  // A scan reads eight numbers a device: unspecialized, each digit is four calls through witness tables.
public func unsignedInteger<Text: Sequence>(_ digits: Text, radix: UInt64) -> UInt64? where Text.Element == UInt8 {
    var value: UInt64 = 0
    var isEmpty = true
    for byte in digits {
        let digit: UInt8
        switch byte {
        case 0x30...0x39: digit = byte - 0x30
        case 0x61...0x66 where radix == 16: digit = byte - 0x57
        case 0x41...0x46 where radix == 16: digit = byte - 0x37
        default: return nil
        }
        let (shifted, overflow) = value.multipliedReportingOverflow(by: radix)
        guard !overflow, shifted <= UInt64.max - UInt64(digit) else { return nil }
        value = shifted + UInt64(digit)
        isEmpty = false
    }
    return isEmpty ? nil : value
}

/// Lower-case hexadecimal with at least `width` digits, as the kernel prints addresses.
public func hexadecimal(_ value: some UnsignedInteger, width: Int = 1) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

/// A decimal number as sysfs prints it; nil for a negative one (`numa_node` is -1 where there is none).
public func decimal(_ text: String) -> Int? { unsignedInteger(text.utf8, radix: 10).flatMap { Int(exactly: $0) } }
