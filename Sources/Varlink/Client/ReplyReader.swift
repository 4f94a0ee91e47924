import CLinux
import EventLoop
import Glibc
import JSON

/// Takes replies off a socket, each with the descriptors that are its own.
///
/// The kernel glues a message without descriptors to a following one that has some in one read (systemd#43823). So
/// where descriptors may come, the reader first looks where the message at hand ends, and then takes exactly that.
@LoopActor
final class ReplyReader {
    private let descriptor: Int32
    private var framer = MessageFramer(limit: 16 * 1024 * 1024)
    private var chunk: [UInt8] = []

    private static let chunkSize = 64 * 1024

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    func next(
        receivesDescriptors: Bool
    ) async throws(ClientError) -> (ReplyMessage, ReceivedDescriptors) {
        var descriptors = ReceivedDescriptors([])
        while true {
            do {
                let message = try framer.next { (bytes) throws(CloseReason) in
                    try ReplyMessage(parsing: bytes, limits: .lenient)
                }
                if let message { return (message, descriptors) }
            } catch { throw .protocolViolation(error) }
            do { try await EventLoop.main.readable(descriptor) } catch { throw ClientError(error) }
            if receivesDescriptors {
                try takeBounded(&descriptors)
            } else {
                try take()
            }
        }
    }

    private func take() throws(ClientError) {
        prepareChunk()
        let count = chunk.withUnsafeMutableBytes { clinux_receive(descriptor, $0.baseAddress, $0.count) }
        try append(count)
    }

    private func takeBounded(_ descriptors: inout ReceivedDescriptors) throws(ClientError) {
        prepareChunk()
        let peeked = chunk.withUnsafeMutableBytes { clinux_peek(descriptor, $0.baseAddress, $0.count) }
        guard peeked > 0 else { return try append(peeked) }
        let end = chunk[..<peeked].firstIndex(of: 0).map { $0 + 1 } ?? peeked
        var numbers = [Int32](repeating: -1, count: Int(CLINUX_SCM_MAX_FD))
        var received: UInt32 = 0
        let count = chunk.withUnsafeMutableBytes {
            clinux_receive_descriptors(descriptor, $0.baseAddress, end, &numbers, &received)
        }
        if received > 0 {
            let arrived = ReceivedDescriptors(Array(numbers.prefix(Int(received))))
            // They belong to the message whose first byte they come with; there is no other way to tell.
            guard framer.isEmpty else { throw .protocolViolation(.malformed(member: "descriptors")) }
            descriptors = arrived
        }
        try append(count)
    }

    /// The socket's answer to a read: bytes that are in `chunk`, the end, or an error.
    private func append(_ count: Int) throws(ClientError) {
        switch count {
        case 1...: chunk.withUnsafeBytes { framer.append(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        case 0: throw framer.isEmpty ? .closed : .protocolViolation(.truncatedMessage)
        case Int(-EAGAIN), Int(-EINTR): return
        case Int(-ECONNRESET): throw .closed
        default: throw .system(call: "recv", errno: Int32(-count))
        }
    }

    private func prepareChunk() {
        if chunk.isEmpty { chunk = [UInt8](repeating: 0, count: Self.chunkSize) }
    }
}
