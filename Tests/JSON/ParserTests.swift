import JSON
import Testing

/// A character that a string literal may not name.
private func nonCharacter(_ code: UInt32) -> String { Unicode.Scalar(code).map { String(Character($0)) } ?? "" }

@Suite("Reading JSON")
struct ParserTests {
    private func fault(_ bytes: [UInt8], _ limits: JSONLimits = JSONLimits()) -> JSONSyntaxError? {
        bytes.withUnsafeBytes { bytes in
            do throws(JSONSyntaxError) {
                _ = try JSONValue(parsing: bytes, limits: limits)
                return nil
            } catch { return error }
        }
    }

    @Test("A text becomes the tree that it describes")
    func tree() throws {
        let text = #" { "a" : [ 1 , -2.5e1, true ,false, null, "x" , {} , [] ] , "b":{"c":"d"} } "#
        let value = try JSONValue(parsing: text)
        #expect(value == ["a": [1, -25.0, true, false, nil, "x", [:], []], "b": ["c": "d"]])
        #expect(value["b"]?["c"] == "d")
    }

    @Test(
        "What is not JSON is refused",
        arguments: [
            "", " ", "{", "}", "[", "]", "[1", "[1,", "[1,]", "[,1]", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}",
            "{a:1}",
            "{'a':1}", "{1:2}", "tru", "True", "nul", "nan", "NaN", "Infinity", "-Infinity", "-", "+1", "01", "-01",
            "00",
            ".5", "5.", "1.e1", "1e", "1e+", "0x10", "1_0", "\"", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u123g\"",
            "1 2", "{} {}", "[] x", "// c\n1", "/* c */1", "1 // c", "\u{FEFF}1", "\"a\nb\"", "\"a\tb\"", "\u{A0}1",
        ])
    func refused(_ text: String) {
        #expect(fault(Array(text.utf8)) != nil)
    }

    @Test(
        "Strings that Varlink cannot carry are refused, as keys too",
        arguments: [
            #"\u0000"#, #"\ud800"#, #"\udc00"#, #"\ud800\ud800"#, #"\ud800x"#, #"\ufffe"#, #"\uffff"#, #"\ufdd0"#,
            #"\ud83f\udfff"#, nonCharacter(0xFFFF), nonCharacter(0xFDD0), nonCharacter(0x1FFFE), "\u{1}", "\u{1F}",
        ])
    func uncarriable(_ content: String) {
        #expect(fault(Array("\"\(content)\"".utf8)) != nil)
        #expect(fault(Array("{\"\(content)\":1}".utf8)) != nil)
    }

    @Test(
        "Bytes that are not UTF-8 are refused, in keys too",
        arguments: [
            [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80],
            [0xF8, 0x88, 0x80, 0x80, 0x80], [0xE2, 0x82], [0xFF], [0xFE],
        ] as [[UInt8]])
    func invalidUTF8(_ bytes: [UInt8]) {
        let quote = [UInt8(ascii: "\"")]
        #expect(fault(quote + bytes + quote) != nil)
        #expect(fault(quote + Array(#"\n"#.utf8) + bytes + quote) != nil)
        #expect(fault(Array("{\"".utf8) + bytes + Array("\":1}".utf8)) != nil)
    }

    @Test("A fault names its place")
    func place() {
        #expect(fault(Array(#"{"a":01}"#.utf8)) == JSONSyntaxError(offset: 6, reason: "leading zero"))
    }

    @Test("Escapes mean what they say")
    func escapes() throws {
        let text = #""\"\\\/\b\f\n\r\t\u00e9\uD83D\ude00\u20AC""#
        #expect(try JSONValue(parsing: text) == .string("\"\\/\u{8}\u{C}\n\r\t\u{E9}\u{1F600}\u{20AC}"))
        #expect(try JSONValue(parsing: #""é😀""#) == .string("é😀"))
        #expect(try JSONValue(parsing: "\"\u{7F}\"") == .string("\u{7F}"))
    }

    @Test("Integers keep all their bits")
    func integers() throws {
        #expect(try JSONValue(parsing: "9223372036854775807") == .int(.max))
        #expect(try JSONValue(parsing: "-9223372036854775808") == .int(.min))
        #expect(try JSONValue(parsing: "9223372036854775808") == .unsigned(1 << 63))
        #expect(try JSONValue(parsing: "18446744073709551615") == .unsigned(.max))
        #expect(try JSONValue(parsing: "-0") == .int(0))
    }

    @Test(
        "Numbers that nothing can hold are no syntax error, and keep their text",
        arguments: [
            "18446744073709551616", "-9223372036854775809", "1e309", "-1e309", "1e999999999999999999999",
            String(repeating: "9", count: 100_000), "0." + String(repeating: "1", count: 100_000),
        ])
    func unholdable(_ text: String) throws {
        let value = try JSONValue(parsing: text)
        #expect(value == .literal(text))
        #expect(value.description == text)
    }

    @Test("Fractions and exponents are doubles")
    func doubles() throws {
        #expect(try JSONValue(parsing: "1.0") == .double(1))
        #expect(try JSONValue(parsing: "1e2") == .double(100))
        #expect(try JSONValue(parsing: "1e-400") == .double(0))
        #expect(try JSONValue(parsing: "5E+0") == .double(5))
    }

    @Test("Nesting is limited, and what is within the limit is read")
    func depth() {
        func nested(_ depth: Int) -> [UInt8] {
            Array((String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
        }
        #expect(fault(nested(512), JSONLimits(depth: 512)) == nil)
        #expect(fault(nested(513), JSONLimits(depth: 512)) != nil)
        #expect(fault(nested(1_000_000)) != nil)
        #expect(fault(Array(String(repeating: "{\"a\":", count: 1_000_000).utf8)) != nil)
    }

    @Test("The number of values is limited, at all depths together")
    func count() {
        let limits = JSONLimits(values: 100)
        #expect(fault(Array(("[" + String(repeating: "0,", count: 98) + "0]").utf8), limits) == nil)
        #expect(fault(Array(("[" + String(repeating: "0,", count: 99) + "0]").utf8), limits) != nil)
        #expect(fault(Array(("[" + String(repeating: "[0],", count: 50) + "0]").utf8), limits) != nil)
    }

    @Test("Duplicate keys are kept, and found at any depth")
    func duplicates() throws {
        let twice = try JSONValue(parsing: #"{"a":1,"b":{"c":[{"d":1,"d":2}]},"a":3}"#)
        guard case .object(let object) = twice else { throw JSONSyntaxError(offset: 0, reason: "no object") }
        #expect(object.members.count == 3)
        #expect(object.duplicateKey == "a")
        #expect(try JSONValue(parsing: #"{"b":{"c":[{"d":1,"d":2}]}}"#).firstDuplicateKey == "d")
        #expect(try JSONValue(parsing: #"{"a":{"a":{"a":1}}}"#).firstDuplicateKey == nil)
        let many = (0..<50_000).map { "\"k\($0)\":0" }.joined(separator: ",")
        #expect(try JSONValue(parsing: "{\(many)}").firstDuplicateKey == nil)
        #expect(try JSONValue(parsing: "{\(many),\"k7\":1}").firstDuplicateKey == "k7")
    }

    @Test("No prefix and no single changed byte of a text makes the parser trap")
    func mutations() throws {
        let text = Array(
            #"{"method":"a.b","parameters":{"x":[1,-2.5e3,"é€\n",null,true],"y":{"z":18446744073709551615}}}"#.utf8)
        for end in text.indices { _ = fault(Array(text[..<end])) }
        for index in text.indices {
            for byte in UInt8.min...UInt8.max {
                var mutant = text
                mutant[index] = byte
                _ = fault(mutant)
            }
        }
    }
}
