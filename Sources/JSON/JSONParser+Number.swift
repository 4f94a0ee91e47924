// Numbers: none is lost and none traps; what no machine type holds stays text.
extension JSONParser {
    /// Longer literals are no Double that anyone means, and converting them costs an attacker nothing.
    private static let longestDouble = 400

    mutating func number() throws(JSONSyntaxError) -> JSONValue {
        let start = offset
        let negative = next == UInt8(ascii: "-")
        if negative { offset += 1 }
        guard isDigit(next) else { throw error(offset < bytes.count ? "unexpected character" : "unexpected end") }
        var magnitude: UInt64 = 0
        var overflow = false
        if next == UInt8(ascii: "0") {
            offset += 1
            guard !isDigit(next) else { throw error("leading zero") }
        } else {
            while isDigit(next) {
                let (product, tooLarge) = magnitude.multipliedReportingOverflow(by: 10)
                let (sum, stillTooLarge) = product.addingReportingOverflow(UInt64(next - 0x30))
                overflow = overflow || tooLarge || stillTooLarge
                magnitude = sum
                offset += 1
            }
        }
        let integral = try skipFractionAndExponent()
        if integral, !overflow {
            if !negative { return Int64(exactly: magnitude).map { .int($0) } ?? .unsigned(magnitude) }
            if magnitude <= UInt64(Int64.max) + 1 { return .int(Int64(truncatingIfNeeded: 0 &- magnitude)) }
        }
        let text = String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<offset]), as: UTF8.self)
        if !integral, text.utf8.count <= Self.longestDouble, let double = Double(text), double.isFinite {
            return .double(double)
        }
        return .literal(text)
    }

    /// Returns whether there was neither.
    private mutating func skipFractionAndExponent() throws(JSONSyntaxError) -> Bool {
        var integral = true
        if next == UInt8(ascii: ".") {
            integral = false
            offset += 1
            try skipDigits()
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            integral = false
            offset += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { offset += 1 }
            try skipDigits()
        }
        return integral
    }

    private mutating func skipDigits() throws(JSONSyntaxError) {
        guard isDigit(next) else { throw error("expected a digit") }
        while isDigit(next) { offset += 1 }
    }

    private func isDigit(_ c: UInt8) -> Bool { c >= UInt8(ascii: "0") && c <= UInt8(ascii: "9") }
}
