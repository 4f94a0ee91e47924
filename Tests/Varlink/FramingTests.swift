import JSON
import Testing

@testable import Varlink

@Suite("Framing")
struct FramingTests {
    private func take(_ framer: inout MessageFramer) throws(CloseReason) -> String? {
        try framer.next { (bytes) throws(CloseReason) in String(decoding: bytes, as: UTF8.self) }
    }

    @Test("Messages come out whole, however they go in", arguments: 1...7)
    func pieces(_ size: Int) throws {
        let text = Array("one\0two\0\0three\0rest".utf8)
        var framer = MessageFramer(limit: 10)
        var messages: [String] = []
        for start in stride(from: 0, to: text.count, by: size) {
            text[start..<min(start + size, text.count)].withUnsafeBytes { framer.append($0) }
            while let message = try take(&framer) { messages.append(message) }
        }
        #expect(messages == ["one", "two", "", "three"])
        #expect(!framer.isEmpty)
    }

    @Test("A message at the limit passes, one above it does not, with its end or without")
    func limit() throws {
        var framer = MessageFramer(limit: 3)
        Array("abc\0".utf8).withUnsafeBytes { framer.append($0) }
        #expect(try take(&framer) == "abc")
        #expect(framer.isEmpty)
        Array("abc".utf8).withUnsafeBytes { framer.append($0) }
        #expect(try take(&framer) == nil)
        Array("d".utf8).withUnsafeBytes { framer.append($0) }
        #expect(throws: CloseReason.messageTooLong(limit: 3)) { try take(&framer) }
        var other = MessageFramer(limit: 3)
        Array("abcd\0".utf8).withUnsafeBytes { other.append($0) }
        #expect(throws: CloseReason.messageTooLong(limit: 3)) { try take(&other) }
    }

    private func call(_ text: String) throws(CloseReason) -> CallMessage {
        let bytes = Array(text.utf8)
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(CloseReason) in try CallMessage(parsing: bytes, limits: JSONLimits()) }
        }
        return try result.get()
    }

    @Test("A call's header is read, with its one flag")
    func header() throws {
        #expect(try call(#"{"method":"a.B"}"#) == CallMessage(method: "a.B"))
        #expect(try call(#"{"method":"a.B","parameters":null,"more":false}"#) == CallMessage(method: "a.B"))
        #expect(
            try call(#"{"more":true,"parameters":{"x":1},"method":"a.B","oneway":false,"io.x":7}"#)
                == CallMessage(method: "a.B", parameters: ["x": 1], mode: .more))
        #expect(try call(#"{"method":"a.B","oneway":true}"#).mode == .oneway)
        #expect(try call(#"{"method":"a.B","upgrade":true}"#).mode == .upgrade)
    }

    @Test("A fault of the header is named")
    func faults() {
        #expect(throws: CloseReason.duplicateMember("method")) { try call(#"{"method":"a","method":"a"}"#) }
        #expect(throws: CloseReason.malformed(member: "method")) { try call("{}") }
        #expect(throws: CloseReason.malformed(member: "more")) { try call(#"{"method":"a","more":1}"#) }
        #expect(throws: CloseReason.unknownMember("x")) { try call(#"{"method":"a","x":1}"#) }
        #expect(throws: CloseReason.conflictingFlags) { try call(#"{"method":"a","more":true,"oneway":true}"#) }
        #expect(throws: CloseReason.malformed(member: "")) { try call("[]") }
        #expect(throws: CloseReason.syntax(JSONSyntaxError(offset: 1, reason: "expected a key"))) { try call("{") }
    }
}

@Suite("Reading replies")
struct ReplyReadingTests {
    @Test("Members that are not declared are ignored in replies, and refused in calls")
    func undeclared() throws {
        let value: JSONValue = ["text": "x", "new": 1]
        #expect(try Example.Cached.Reply(reading: value, .reply) == .init(text: "x"))
        #expect(throws: InvalidParameter("new")) { try Example.Cached.Reply(reading: value, .call) }
    }

    @Test("An error that another interface defines is none of ours")
    func foreignError() throws {
        #expect(try Example.Failure(name: "org.example.test.Other", parameters: [:]) == .other)
        #expect(try Example.Failure(name: "org.example.Other", parameters: [:]) == nil)
        #expect(
            try Example.Failure(name: "org.example.test.Failed", parameters: ["reason": "x", "code": 3])
                == .failed(reason: "x", code: 3))
        #expect(throws: InvalidParameter("reason")) {
            try Example.Failure(name: "org.example.test.Failed", parameters: [:])
        }
    }
}
