import CLinux
import EventLoop
import JSON

// The quick way of a call whose handler never suspends: it is read, answered and sent from within the loop, while the
// connection's task goes on waiting for input. Waking the task would cost more than all of that. Whatever this way is
// not for, it leaves to the task, and wakes it.
extension Connection {
    /// What has been taken of the input and not been answered.
    enum Leftover {
        /// A call that was begun, and whose handler may suspend.
        case call(CallMessage, VarlinkServer.Handler.Suspending)
        /// The connection is to be closed for this.
        case fault(CloseReason)
        /// What the framer holds.
        case messages
    }

    /// How many calls are answered before others have their turn.
    private static let batch = 16

    /// Takes the input that there is and answers the calls in it; false when the task has to go on.
    func answerAtOnce() -> Bool {
        guard phase == .open, leftover == nil, output.unsent == 0 else { return false }
        let chunk = server.receiveChunk
        let count = clinux_receive(descriptor, chunk.baseAddress, chunk.count)
        // The end is there to be read again; an error is not, but it is followed by the end.
        guard count > 0 else { return false }
        let input = UnsafeRawBufferPointer(rebasing: chunk[..<count])
        do throws(CloseReason) {
            if let message = framer.whole(input) {
                leftover = answer(try CallMessage(parsing: message, limits: server.limits.callContent))
            } else {
                framer.append(input)
                leftover = try answerCompleteCalls()
            }
        } catch {
            leftover = .fault(error)
        }
        let isSent = isDrained(below: 1)
        if leftover == nil, !isSent || phase != .open { leftover = .messages }
        return leftover == nil
    }

    /// Answers the calls that have come whole; nil when none is left.
    private func answerCompleteCalls() throws(CloseReason) -> Leftover? {
        let limits = server.limits
        for _ in 0..<Self.batch {
            let next = try framer.next { (bytes) throws(CloseReason) in
                try CallMessage(parsing: bytes, limits: limits.callContent)
            }
            guard let call = next else { return nil }
            if let leftover = answer(call) { return leftover }
            if output.unsent > limits.outputHighWater { return .messages }
        }
        return .messages
    }

    /// Answers a call, or leaves it begun.
    private func answer(_ call: CallMessage) -> Leftover? {
        switch begin(call) {
        case .immediate(let handle): answerAtOnce(call, handle)
        case .suspending(let handle): return .call(call, handle)
        case nil: break
        }
        return nil
    }
}
