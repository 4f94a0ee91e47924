import CLinux
import Glibc
import JSON

/// Replies on their way to a client, and the descriptors that belong to one of them.
struct OutputBuffer: ~Copyable {
    /// Descriptors, owned, that go with the message that begins at the first unsent byte and ends at `end`.
    private struct Attachment {
        let descriptors: [Int32]
        let end: Int
    }

    enum Outcome { case allSent, full, peerGone }

    /// Where replies are written to.
    var writer = JSONWriter()
    private var sent = 0
    private var attachment: Attachment?

    /// Above this an empty buffer is given back: connections are many, and most are idle. A group of a few members fits.
    private static let retained = 2048
    private static let compactAbove = 64 * 1024

    /// Bytes that the kernel has not taken yet.
    var unsent: Int { writer.count - sent }

    deinit { Self.close(attachment) }

    /// Attaches descriptors, whose ownership passes here, to the message just written. It must be the only one unsent:
    /// a receiver can tell whose they are only when they come with a message's first byte.
    mutating func attach(_ descriptors: [Int32]) {
        attachment = Attachment(descriptors: descriptors, end: writer.count)
    }

    /// Sends what the kernel takes without blocking.
    mutating func send(to descriptor: Int32) -> Outcome {
        while unsent > 0 {
            let count = sendOnce(to: descriptor)
            switch count {
            case Int(-EINTR): continue
            case Int(-EAGAIN):
                compact()
                return .full
            // ETOOMANYREFS: too many descriptors in flight; the connection cannot be continued without them.
            case ..<0: return .peerGone
            default: sent += count
            }
        }
        sent = 0
        writer.removeAll(retained: Self.retained)
        return .allSent
    }

    /// Drops everything.
    mutating func discard() {
        Self.close(attachment)
        attachment = nil
        sent = 0
        writer.removeAll(retained: 0)
    }

    private mutating func sendOnce(to descriptor: Int32) -> Int {
        let bytes = writer.buffer
        guard let base = bytes.baseAddress else { return Int(-EPIPE) }
        guard let attachment else { return clinux_send(descriptor, base + sent, bytes.count - sent) }
        let count = clinux_send_descriptors(
            descriptor, base + sent, attachment.end - sent, attachment.descriptors,
            UInt32(attachment.descriptors.count))
        if count > 0 {
            Self.close(attachment)
            self.attachment = nil
        }
        return count
    }

    /// Moves what is unsent to the front once more has been sent than remains.
    private mutating func compact() {
        guard attachment == nil, sent > Self.compactAbove, sent > unsent else { return }
        writer.removeFirst(sent)
        sent = 0
    }

    private static func close(_ attachment: Attachment?) {
        for descriptor in attachment?.descriptors ?? [] { Glibc.close(descriptor) }
    }
}
