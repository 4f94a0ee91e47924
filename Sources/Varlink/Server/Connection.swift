import CLinux
import EventLoop
import Glibc
import JSON

/// A client's connection: reads its calls, has them answered in their order, and notices when it is gone.
///
/// One task serves it, from accept to close. This file is the way of a call; output is in `Connection+Output.swift`,
/// what is answered without waking the task in `Connection+AtOnce.swift`.
@LoopActor
@usableFromInline
final class Connection {
    /// What the connection is still good for.
    enum Phase: Equatable {
        case open
        /// The server stops: the call at hand is answered, no other is begun.
        case finishing
        /// Nobody reads replies any more. What calls oneway has come is still done: that is what oneway means.
        case peerGone
        case closed
    }

    /// Tells a call from others on the same connection, so that one that is over cannot speak any more.
    @usableFromInline
    typealias Ticket = UInt64

    /// The call that is being answered.
    struct Current {
        let ticket: Ticket
        let mode: CallMessage.Mode
        /// Owned, for the reply that comes next.
        var descriptors: [Int32] = []
        var onClientGone: (@LoopActor () -> Void)?
    }

    let descriptor: Int32
    nonisolated let peer: Peer
    /// When it was accepted, as `PeerProcess` counts.
    private let accepted = PeerProcess.now
    let server: VarlinkServer
    // Unchecked where every call comes by: one thread has them, no access lasts longer than the function that it is in,
    // and the checks would be a tenth of what a call costs.
    @exclusivity(unchecked) var phase = Phase.open
    @exclusivity(unchecked) var current: Current?
    @exclusivity(unchecked) var output = OutputBuffer()
    var drain = Drain()
    @exclusivity(unchecked) var slice = TimeSlice()
    /// Descriptors that were sent and that the client may not have received.
    var unreadDescriptors = 0
    var isWatchingDescriptors = false
    @exclusivity(unchecked) @usableFromInline private(set) var ticket: Ticket = 0
    @exclusivity(unchecked) var framer: MessageFramer
    /// Called when the peer is gone or the connection is closed, whichever comes first.
    private var whenOver: [@LoopActor () -> Void] = []
    /// What `answerAtOnce` has taken of the input and left to the task.
    @exclusivity(unchecked) var leftover: Leftover?
    /// The method called last: most clients call one again and again.
    @exclusivity(unchecked) private var last: (method: String, handler: VarlinkServer.Handler)?
    private var task: Task<Void, Never>?

    init(_ descriptor: Int32, _ peer: Peer, of server: VarlinkServer) {
        self.descriptor = descriptor
        self.peer = peer
        self.server = server
        framer = MessageFramer(limit: server.limits.callBytes)
    }

    func start() {
        task = EventLoop.main.spawn { [self] in
            do throws(LoopError) {
                try EventLoop.main.onHangUp(descriptor) { [self] in peerIsGone() }
                try EventLoop.main.onInput(descriptor) { [self] in answerAtOnce() }
                try await serve()
            } catch {}
            close()
        }
    }

    /// Lets the call at hand be answered, and closes.
    func finish() {
        guard phase == .open else { return }
        phase = .finishing
        EventLoop.main.endReading(descriptor)
    }

    /// Closes now, whatever is going on.
    func abort() {
        peerIsGone()
        task?.cancel()
        EventLoop.main.forget(descriptor)
    }

    /// Nobody will read a reply: the handler that works on one is cancelled.
    func peerIsGone() {
        guard phase != .closed, phase != .peerGone else { return }
        phase = .peerGone
        output.discard()
        wakeDrained()
        tellThatItIsOver()
        guard current?.mode != .oneway else { return }
        if current != nil { task?.cancel() }
        current?.onClientGone.take()?()
    }

    private func serve() async throws(LoopError) {
        do throws(CloseReason) {
            while isListening {
                guard let count = await receive() else { break }
                if count == 0 {
                    if !framer.isEmpty { throw CloseReason.truncatedMessage }
                    break
                }
                try await answerAll()
            }
        } catch {
            // What was answered before the fault goes out; the fault itself gets no reply.
            flush()
            server.closed(peer, error)
            return
        }
        // A client that has only closed its sending side still reads.
        await drained(below: 1)
    }

    /// Suspends until there is input and takes it; 0 at its end, nil when the wait or the connection has ended. What was
    /// taken already counts as input.
    private func receive() async -> Int? {
        while true {
            // Whoever cancels this task also ends the wait, by `forget` or `endReading`: heeding the cancellation as
            // well would cost a record at the task with every call.
            do {
                try await EventLoop.main.readable(descriptor, heedingCancellation: false)
            } catch { return nil }
            if leftover != nil { return 1 }
            let chunk = server.receiveChunk
            let count = clinux_receive(descriptor, chunk.baseAddress, chunk.count)
            if count > 0 { framer.append(UnsafeRawBufferPointer(rebasing: chunk[..<count])) }
            if count >= 0 { return count }
            guard count == -EAGAIN || count == -EINTR else {
                peerIsGone()
                return nil
            }
        }
    }

    /// Calls are still taken. Of a client that is gone, only those oneway, and none once a call of it was cancelled.
    private var isListening: Bool { phase == .open || phase == .peerGone && !Task.isCancelled }

    /// Answers all calls that have come whole, and sends the replies together.
    private func answerAll() async throws(CloseReason) {
        slice.restart()
        let limits = server.limits
        switch leftover.take() {
        case .call(let call, let handle): await answer(call, handle)
        case .fault(let reason): throw reason
        case .messages, nil: break
        }
        while isListening {
            let next = try framer.next { (bytes) throws(CloseReason) in
                try CallMessage(parsing: bytes, limits: limits.callContent)
            }
            guard let call = next else { break }
            if phase == .peerGone, call.mode != .oneway { continue }
            switch begin(call) {
            case .immediate(let handle): answerAtOnce(call, handle)
            case .suspending(let handle): await answer(call, handle)
            case nil: break
            }
            if output.unsent > limits.outputHighWater { await drained(below: limits.outputHighWater / 2) }
            if slice.step() { await giveWay() }
        }
        // Reading on would let a client that does not read fill memory with replies.
        if !isDrained(below: 1) { await drained(below: 1) }
    }

    /// The handler of the call at hand; nil when it was replied to with an error because there is none.
    func begin(_ call: CallMessage) -> VarlinkServer.Handler? {
        ticket += 1
        current = Current(ticket: ticket, mode: call.mode)
        do throws(ErrorReply) {
            let handler = try handler(of: call.method)
            // Any reply but an error would tell the client that the connection is no longer Varlink.
            guard call.mode != .upgrade else {
                throw ErrorReply(VarlinkService.Failure.methodNotImplemented(method: call.method))
            }
            return handler
        } catch {
            replyWithError(error)
            endCall()
            return nil
        }
    }

    private func handler(of method: String) throws(ErrorReply) -> VarlinkServer.Handler {
        try server.authorize?(Caller(self), method)
        if let last, last.method == method { return last.handler }
        let handler = try server.handler(of: method)
        last = (method, handler)
        return handler
    }

    func answerAtOnce(_ call: CallMessage, _ handle: VarlinkServer.Handler.Immediate) {
        do throws(ErrorReply) {
            try replyAtOnce(handle(call, self))
        } catch {
            replyWithError(error)
        }
        endCall()
    }

    private func answer(_ call: CallMessage, _ handle: VarlinkServer.Handler.Suspending) async {
        do throws(ErrorReply) {
            try await reply(handle(call, self))
        } catch {
            replyWithError(error)
        }
        endCall()
    }

    private func endCall() {
        for descriptor in current?.descriptors ?? [] { Glibc.close(descriptor) }
        current = nil
    }

    /// Has `call` called when the peer is gone or the connection is closed; at once when it is.
    func onOver(_ call: @escaping @LoopActor () -> Void) {
        guard phase == .open || phase == .finishing else { return call() }
        whenOver.append(call)
    }

    private func tellThatItIsOver() {
        let calls = whenOver
        whenOver = []
        for call in calls { call() }
    }

    private func close() {
        guard phase != .closed else { return }
        phase = .closed
        tellThatItIsOver()
        countOutDescriptors()
        output.discard()
        wakeDrained()
        EventLoop.main.forget(descriptor)
        Glibc.close(descriptor)
        server.remove(self)
    }
}

extension Connection {
    func attach(_ ticket: Ticket, _ descriptor: consuming Descriptor) throws(ErrorReply) -> Int {
        guard phase != .peerGone, phase != .closed, current?.ticket == ticket,
            let index = current?.descriptors.count, index < Int(CLINUX_SCM_MAX_FD)
        else { throw .clientGone }
        current?.descriptors.append(descriptor.release())
        return index
    }

    func onClientGone(_ ticket: Ticket, _ call: @escaping @LoopActor () -> Void) {
        guard phase != .peerGone, phase != .closed, current?.ticket == ticket else { return call() }
        current?.onClientGone = call
    }

    func openPeerProcess() -> PeerProcess? {
        guard phase != .closed else { return nil }
        return PeerProcess(ofSocket: descriptor, peer, accepted: accepted)
    }

    var peerGroups: [UInt32] {
        guard phase != .closed else { return [] }
        // The kernel lets a process have 65536, and hardly any has so many.
        var room = 64
        while true {
            var count = 0
            let groups = [UInt32](unsafeUninitializedCapacity: room) { buffer, stored in
                count = Int(clinux_peer_groups(descriptor, buffer.baseAddress, UInt32(room)))
                stored = (0...room).contains(count) ? count : 0
            }
            guard count > room else { return groups }
            room = count
        }
    }
}
