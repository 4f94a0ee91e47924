import CLinux
import EventLoop
import Glibc
import JSON

// Replies go out at the end of a turn, together, as far as the client takes them. What it does not take a task of its
// own sends as it does (the drain); everything that would add to it waits.
extension Connection {
    /// The task that sends what the client did not take at once, and who waits for it to have done so.
    struct Drain {
        var isRunning = false
        var isScheduled = false
        // The drain resumes all of them when it ends, however it ends.
        var waiters: [(level: Int, Waiter<Void>)] = []
    }

    /// How many bytes of a stream's replies are sent together.
    private static let streamed = 8 * 1024

    @usableFromInline
    typealias Body = (inout JSONWriter) -> Void

    /// Writes the last reply of the current call, which brings no descriptors.
    func replyAtOnce(_ body: Body) throws(ErrorReply) {
        guard current?.mode != .oneway, isHeard else { return }
        try writeMessage(continues: false, body)
    }

    /// Writes the last reply of the current call.
    func reply(_ body: Body) async throws(ErrorReply) {
        try await write(continues: false, body)
    }

    /// Writes one of several replies.
    func send(_ ticket: Ticket, _ body: Body) async throws(ErrorReply) {
        guard current?.ticket == ticket else { throw .clientGone }
        try await write(continues: true, body)
        // What the kernel holds keeps the client busy: more would be this much of memory for every client of a stream.
        if output.unsent > Self.streamed { await drained(below: 1) } else { flushAtEndOfTurn() }
        if slice.step() { await giveWay() }
        guard isHeard else { throw .clientGone }
    }

    /// Writes the error that ends the current call.
    func replyWithError(_ error: ErrorReply) {
        guard isHeard, current?.mode != .oneway, case .error(let name, let parameters) = error.content else { return }
        ReplyMessage.write(error: name, to: &output.writer) { $0.encoded(parameters) }
    }

    /// Sends what is written, and lets others have their turn.
    func giveWay() async {
        flush()
        await EventLoop.main.yield()
        slice.restart()
    }

    /// Sends what the client takes now; the drain sends the rest.
    func flush() {
        guard isHeard, output.unsent > 0 else { return }
        switch output.send(to: descriptor) {
        case .allSent: break
        case .full: startDrain()
        case .peerGone: peerIsGone()
        }
    }

    /// Sends what the client takes; whether less than `level` bytes are unsent then, or nobody will read them.
    func isDrained(below level: Int) -> Bool {
        flush()
        return !isHeard || output.unsent < level
    }

    /// Suspends until less than `level` bytes are unsent, or nobody will read them.
    func drained(below level: Int) async {
        guard !isDrained(below: level) else { return }
        let waiter = Waiter<Void>()
        drain.waiters.append((level, waiter))
        await waiter.waitIgnoringCancellation()
    }

    /// Resumes those whose level is reached.
    func wakeDrained() {
        let unsent = isHeard ? output.unsent : 0
        let reached = drain.waiters.filter { unsent < $0.level }
        guard !reached.isEmpty else { return }
        drain.waiters.removeAll { unsent < $0.level }
        for (_, waiter) in reached { waiter.resume() }
    }

    /// There is somebody to send to.
    private var isHeard: Bool { phase == .open || phase == .finishing }

    private func flushAtEndOfTurn() {
        guard !drain.isScheduled else { return }
        drain.isScheduled = true
        EventLoop.main.atEndOfTurn { [self] in
            drain.isScheduled = false
            flush()
        }
    }

    private func startDrain() {
        guard !drain.isRunning else { return }
        drain.isRunning = true
        EventLoop.main.spawn { [self] in
            while isHeard, output.unsent > 0 {
                do {
                    try await EventLoop.main.writable(descriptor)
                } catch { break }
                flush()
                wakeDrained()
            }
            drain.isRunning = false
            if isHeard, output.unsent > 0 { peerIsGone() }
            wakeDrained()
        }
    }

    private func write(continues: Bool, _ body: Body) async throws(ErrorReply) {
        guard current?.mode != .oneway else { return }
        guard isHeard else { throw .clientGone }
        let descriptors = current?.descriptors ?? []
        if !descriptors.isEmpty { try await makeRoom(forDescriptors: descriptors.count) }
        try writeMessage(continues: continues, body)
        guard !descriptors.isEmpty else { return }
        current?.descriptors = []
        output.attach(descriptors)
        flush()
        watchUnreadDescriptors(descriptors.count)
    }

    private func writeMessage(continues: Bool, _ body: Body) throws(ErrorReply) {
        let mark = output.writer.mark
        let before = output.writer.count
        ReplyMessage.write(continues: continues, to: &output.writer, parameters: body)
        guard output.writer.count - before <= server.limits.replyBytes + 1 else {
            output.writer.truncate(to: mark)
            throw .expectedMore
        }
    }
}
