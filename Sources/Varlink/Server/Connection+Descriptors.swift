import CLinux
import EventLoop

// The kernel lets root have any number of descriptors in flight, and a group that a client does not fetch is a group
// that nobody can use: what was sent and not received is counted, and has its time.
extension Connection {
    /// Suspends until nothing is unsent, so that descriptors go with their message's first byte, and until the client
    /// has received enough of what it was sent before.
    func makeRoom(forDescriptors count: Int) async throws(ErrorReply) {
        await drained(below: 1)
        let deadline = MonotonicTime.now + server.limits.unreadDescriptorTimeout
        while phase == .open || phase == .finishing {
            forgetReadDescriptors()
            if server.hasRoom(forDescriptors: count, on: self) { return }
            guard MonotonicTime.now < deadline else { break }
            // The kernel tells that a peer has read by nothing that could be waited for.
            do { try await EventLoop.main.sleep(for: .milliseconds(10)) } catch { throw .clientGone }
        }
        peerIsGone()
        throw .clientGone
    }

    /// Counts descriptors that were just sent, and cuts the client off when it leaves them lying.
    func watchUnreadDescriptors(_ count: Int) {
        unreadDescriptors += count
        server.unreadDescriptors[peer.uid, default: 0] += count
        guard !isWatchingDescriptors else { return }
        isWatchingDescriptors = true
        EventLoop.main.schedule(at: .now + server.limits.unreadDescriptorTimeout) { [weak self] in
            guard let self else { return }
            isWatchingDescriptors = false
            forgetReadDescriptors()
            if unreadDescriptors > 0 { abort() }
        }
    }

    /// Takes descriptors off the count once the client has read everything that it was sent.
    func forgetReadDescriptors() {
        guard unreadDescriptors > 0 else { return }
        let allRead = output.unsent == 0 && phase != .closed && clinux_unread_output(descriptor) == 0
        if allRead || phase == .closed { countOutDescriptors() }
    }

    /// Takes all of this connection's descriptors off the user's count.
    func countOutDescriptors() {
        guard unreadDescriptors > 0 else { return }
        let rest = server.unreadDescriptors[peer.uid, default: 0] - unreadDescriptors
        server.unreadDescriptors[peer.uid] = rest > 0 ? rest : nil
        unreadDescriptors = 0
    }
}
