// Strings: escapes resolved, UTF-8 proved, and what Varlink cannot carry refused.
extension JSONParser {
    mutating func string() throws(JSONSyntaxError) -> String {
        offset += 1
        let start = offset
        var union: UInt8 = 0
        // Local: through `self` every byte would be a store.
        var end = start
        while end < bytes.count, case let c = bytes[end],
            c != UInt8(ascii: "\""), c != UInt8(ascii: "\\"), c >= 0x20
        {
            union |= c
            end += 1
        }
        offset = end
        guard next == UInt8(ascii: "\"") else { return try escapedString(from: start) }
        let text = UnsafeBufferPointer(rebasing: bytes[start..<offset])
        offset += 1
        return union < 0x80 ? Self.frequent(text) ?? String(decoding: text, as: UTF8.self) : try validated(text)
    }

    /// A text that many messages have among their keys: a constant, which is not made anew each time.
    private static func frequent(_ text: UnsafeBufferPointer<UInt8>) -> String? {
        func isEqual(_ other: StaticString) -> Bool {
            for index in 0..<text.count where text[index] != other.utf8Start[index] { return false }
            return true
        }
        switch text.count {
        case 2: return isEqual("id") ? "id" : nil
        case 4: return isEqual("more") ? "more" : nil
        case 6: return isEqual("method") ? "method" : nil
        case 10: return isEqual("parameters") ? "parameters" : nil
        default: return nil
        }
    }

    /// The rest of a string that has an escape in it, or a fault; `start` is behind its opening quote.
    private mutating func escapedString(from start: Int) throws(JSONSyntaxError) -> String {
        var text = Array(bytes[start..<offset])
        while offset < bytes.count {
            let c = bytes[offset]
            switch c {
            case UInt8(ascii: "\""):
                offset += 1
                let result = text.withUnsafeBufferPointer { text in
                    Result { () throws(JSONSyntaxError) in try validated(text) }
                }
                return try result.get()
            case UInt8(ascii: "\\"):
                offset += 1
                try escape(into: &text)
            case 0..<0x20:
                throw error("control character in a string")
            default:
                text.append(c)
                offset += 1
            }
        }
        throw error("string without end")
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONSyntaxError) {
        let c = next
        switch c {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(c)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            offset += 1
            text.append(contentsOf: try unicodeEscape().utf8)
            return
        default: throw error("unknown escape")
        }
        offset += 1
    }

    /// The scalar of `\uXXXX`, or of two of them that are a surrogate pair; `offset` is behind the first `u`.
    private mutating func unicodeEscape() throws(JSONSyntaxError) -> Unicode.Scalar {
        var code = try fourHexDigits()
        if code & 0xFC00 == 0xD800 {
            guard next == UInt8(ascii: "\\"), offset + 1 < bytes.count, bytes[offset + 1] == UInt8(ascii: "u") else {
                throw error("surrogate without its half")
            }
            offset += 2
            let low = try fourHexDigits()
            guard low & 0xFC00 == 0xDC00 else { throw error("surrogate without its half") }
            code = 0x10000 + (code & 0x3FF) << 10 + (low & 0x3FF)
        }
        guard code != 0 else { throw error("\\u0000 in a string") }
        guard let scalar = Unicode.Scalar(code) else { throw error("surrogate without its half") }
        return scalar
    }

    private mutating func fourHexDigits() throws(JSONSyntaxError) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            switch next {
            case let c where c >= UInt8(ascii: "0") && c <= UInt8(ascii: "9"): code = code << 4 | UInt32(c - 0x30)
            case let c where c >= UInt8(ascii: "a") && c <= UInt8(ascii: "f"): code = code << 4 | UInt32(c - 0x57)
            case let c where c >= UInt8(ascii: "A") && c <= UInt8(ascii: "F"): code = code << 4 | UInt32(c - 0x37)
            default: throw error("expected a hexadecimal digit")
            }
            offset += 1
        }
        return code
    }

    private func validated(_ text: UnsafeBufferPointer<UInt8>) throws(JSONSyntaxError) -> String {
        guard let string = String(validating: text, as: UTF8.self) else { throw error("invalid UTF-8 in a string") }
        // Noncharacters are U+FDD0...FDEF and the last two of each plane; systemd's JSON reader hangs up on them.
        for scalar in string.unicodeScalars
        where scalar.value & 0xFFFE == 0xFFFE || (0xFDD0...0xFDEF).contains(scalar.value) {
            throw error("Unicode noncharacter in a string")
        }
        return string
    }
}
