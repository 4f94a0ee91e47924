import CLinux
import EventLoop
import Glibc
import Testing

/// A client that sends what bytes it likes, with blocking calls that give up after a minute.
final class RawClient: @unchecked Sendable {
    // @unchecked: each is used by one test at a time.
    let descriptor: Int32
    private var input: [UInt8] = []

    struct Failed: Error, CustomStringConvertible {
        let description: String
    }

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        let result = clinux_unix_connect(descriptor, path)
        guard result == 0 else { throw Failed(description: "connect: \(-result)") }
    }

    deinit { close() }

    private var isOpen = true

    func close() {
        if isOpen { Glibc.close(descriptor) }
        isOpen = false
    }

    /// Sends all bytes; false when the peer is gone or a minute has passed.
    @discardableResult
    func send(_ bytes: [UInt8], flags: Int32 = 0) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | flags)
            }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Sends messages, each with its NUL.
    @discardableResult
    func send(_ messages: String...) -> Bool { send(messages.flatMap { Array($0.utf8) + [0] }) }

    /// The next message without its NUL; nil when the connection ends first.
    func receive() throws -> String? {
        var searched = 0
        while true {
            let end = input.withUnsafeBytes { bytes -> Int? in
                guard let base = bytes.baseAddress else { return nil }
                return memchr(base + searched, 0, bytes.count - searched).map { UnsafeRawPointer($0) - base }
            }
            if let end {
                defer { input.removeFirst(end + 1) }
                return String(decoding: input[..<end], as: UTF8.self)
            }
            searched = input.count
            guard try fill() else { return nil }
        }
    }

    /// Counts messages until the connection ends or there are `limit`.
    func receiveCount(_ limit: Int) throws -> Int {
        var count = 0
        while true {
            count += input.count { $0 == 0 }
            input.removeAll(keepingCapacity: true)
            if count >= limit { return count }
            guard try fill() else { return count }
        }
    }

    func call(_ message: String) throws -> String? {
        send(message)
        return try receive()
    }

    /// Whether the connection ends without another byte.
    func isClosedWithoutReply() throws -> Bool { try input.isEmpty && !fill() }

    private func fill() throws -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65536)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        if count > 0 { input += chunk[..<count] }
        // A server that closes with input unread resets the connection.
        guard count >= 0 || errno == ECONNRESET else { throw Failed(description: "no answer: errno \(errno)") }
        return count > 0
    }
}

/// `{"method":...}` in the test interface.
func call(_ method: String, _ parameters: String? = nil, _ flags: String = "") -> String {
    let parameters = parameters.map { ",\"parameters\":\($0)" } ?? ""
    return "{\"method\":\"org.example.test.\(method)\"\(parameters)\(flags.isEmpty ? "" : "," + flags)}"
}

let getInfo = #"{"method":"org.varlink.service.GetInfo"}"#
