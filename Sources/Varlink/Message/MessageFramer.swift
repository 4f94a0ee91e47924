import Glibc

/// Cuts a stream of bytes into messages at their NULs. It holds what has come and was not taken yet, and refuses to
/// hold more than one message's limit without an end in sight.
struct MessageFramer {
    private let limit: Int
    private var bytes: [UInt8] = []
    /// Where the first message that was not taken begins.
    private var start = 0
    /// Up to where there is no NUL: no byte is searched twice.
    private var searched = 0

    /// Above this an empty buffer is given back: connections are many, and most are idle.
    private static let retained = 1024

    /// `limit`: the longest message in bytes, without its NUL.
    init(limit: Int) { self.limit = limit }

    /// There is a message that has begun and not ended, or one that was not taken.
    var isEmpty: Bool { start == bytes.count }

    mutating func append(_ input: UnsafeRawBufferPointer) { bytes.append(contentsOf: input) }

    /// Takes input that is one complete message and nothing else, as most is, without holding it: the message. Nil for
    /// any other, which is to be appended.
    func whole(_ input: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard isEmpty, let base = input.baseAddress, input.count <= limit,
            let found = memchr(base, 0, input.count), UnsafeRawPointer(found) - base == input.count - 1
        else { return nil }
        return UnsafeRawBufferPointer(rebasing: input.dropLast())
    }

    /// Reads the next complete message with `parse`; nil when there is none.
    mutating func next<Message>(
        _ parse: (UnsafeRawBufferPointer) throws(CloseReason) -> Message
    ) throws(CloseReason) -> Message? {
        guard let end = nextEnd() else {
            guard bytes.count - start <= limit else { throw .messageTooLong(limit: limit) }
            compact()
            return nil
        }
        guard end - start <= limit else { throw .messageTooLong(limit: limit) }
        let message = bytes.withUnsafeBytes { bytes in
            Result { () throws(CloseReason) in try parse(UnsafeRawBufferPointer(rebasing: bytes[start..<end])) }
        }
        start = end + 1
        searched = start
        if start == bytes.count { compact() }
        return try message.get()
    }

    private mutating func nextEnd() -> Int? {
        guard searched < bytes.count else { return nil }
        let end = bytes.withUnsafeBytes { bytes -> Int? in
            guard let base = bytes.baseAddress,
                let found = memchr(base + searched, 0, bytes.count - searched)
            else { return nil }
            return UnsafeRawPointer(found) - base
        }
        if end == nil { searched = bytes.count }
        return end
    }

    /// Drops the messages that were taken.
    private mutating func compact() {
        guard start > 0 else { return }
        bytes.removeFirst(start)
        searched -= start
        start = 0
        if bytes.isEmpty { bytes.removeAll(keepingCapacity: bytes.capacity <= Self.retained) }
    }
}
