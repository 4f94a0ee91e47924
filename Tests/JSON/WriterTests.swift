import JSON
import Testing

@Suite("Writing JSON")
struct WriterTests {
    @Test("Members and elements are separated, at every depth")
    func structure() {
        var writer = JSONWriter()
        writer.object { writer in
            writer.key("a")
            writer.array { writer in
                writer.value(Int64.min)
                writer.value(UInt64.max)
                writer.object { (_) in }
                writer.encoded(Array("[1,2]".utf8))
            }
            writer.key("b" as String)
            writer.value(true)
            writer.key("c")
            writer.null()
        }
        let text = String(decoding: writer.buffer, as: UTF8.self)
        #expect(text == #"{"a":[-9223372036854775808,18446744073709551615,{},[1,2]],"b":true,"c":null}"#)
    }

    @Test("Control characters and DEL are escaped, all else is written as it is")
    func escapes() {
        var writer = JSONWriter()
        writer.value("\"\\\n\r\t\u{1}\u{7F}/é😀")
        #expect(String(decoding: writer.buffer, as: UTF8.self) == #""\"\\\n\r\t\u0001\u007f/é😀""#)
    }

    @Test("What was written since a mark can be taken back")
    func truncation() {
        var writer = JSONWriter()
        writer.array { writer in
            writer.value(Int64(1))
            let mark = writer.mark
            writer.value("gone")
            writer.truncate(to: mark)
            writer.value(Int64(2))
        }
        #expect(String(decoding: writer.buffer, as: UTF8.self) == "[1,2]")
    }

    @Test("A number that is not finite is null")
    func notFinite() {
        var writer = JSONWriter()
        writer.array { writer in
            writer.value(Double.nan)
            writer.value(-Double.infinity)
            writer.value(0.1)
        }
        #expect(String(decoding: writer.buffer, as: UTF8.self) == "[null,null,0.1]")
    }

    @Test("What is written is read as the same")
    func roundTrip() throws {
        let value: JSONValue = [
            "empty": [:], "list": [[], [nil, true, false, 0, -1, 1.5, 1e300, "é\u{7F}\u{1F}\"\\"]],
            "n": .unsigned(.max),
        ]
        #expect(try JSONValue(parsing: value.description) == value)
        #expect(try JSONValue(parsing: value.pretty) == value)
    }

    @Test("Pretty printing puts one member a line")
    func pretty() throws {
        let value: JSONValue = ["a": [1, ["b": nil]], "c": [], "d": [:]]
        #expect(
            value.pretty == """
                {
                  "a": [
                    1,
                    {
                      "b": null
                    }
                  ],
                  "c": [],
                  "d": {}
                }
                """)
    }

    @Test("Dropping what was sent leaves what was not")
    func removal() {
        var writer = JSONWriter()
        writer.value(String(repeating: "x", count: 5000))
        writer.endMessage()
        writer.value(Int64(7))
        writer.endMessage()
        writer.removeFirst(5003)
        #expect(writer.bytes == Array("7\0".utf8))
        writer.removeAll(retained: 0)
        #expect(writer.count == 0)
    }
}
