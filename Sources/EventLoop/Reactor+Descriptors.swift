import CLinux
import Glibc

// Descriptors stay registered, level-triggered, from their first wait until they are forgotten: a connection that
// waits, reads, answers and waits again costs no epoll_ctl. What epoll reports while nobody waits for it is switched
// off when it is first reported, and on again by the next wait.
extension Reactor {
    func wait(
        _ direction: Watch.Direction, _ descriptor: Int32, heedingCancellation: Bool
    ) async throws(LoopError) {
        let ticket = nextTicket()
        guard heedingCancellation else {
            let wake = await withUnsafeContinuation { continuation in
                park(Watch.Waiting(ticket: ticket, continuation: continuation), direction, descriptor)
            }
            return try wake.check()
        }
        let wake = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                // A task of another executor goes through the queue once more after the handler is set: a cancellation
                // that was seen in between has found nobody.
                if Task.isCancelled { return continuation.resume(returning: Watch.Wake.cancelled) }
                park(Watch.Waiting(ticket: ticket, continuation: continuation), direction, descriptor)
            }
        } onCancel: {
            // On whatever thread cancels, perhaps before the wait has begun: the loop itself ends it, later.
            EventLoop.main.submit { self.cancel(ticket, direction, descriptor) }
        }
        try wake.check()
    }

    /// Ends the wait of the descriptor's reader, if there is one.
    func endReading(_ descriptor: Int32) {
        guard watches.indices.contains(Int(descriptor)) else { return }
        watches[Int(descriptor)].reader.take()?.continuation.resume(returning: .forgotten)
    }

    /// Has `call` called once when the peer of `descriptor` is gone or the descriptor has failed.
    func watchHangUp(_ descriptor: Int32, _ call: @escaping Call) throws(LoopError) {
        try register(descriptor, 0)
        watches[Int(descriptor)].onHangUp = call
    }

    /// Has `call` called whenever there is input for a task that waits for it.
    func watchInput(_ descriptor: Int32, _ call: @escaping @LoopActor () -> Bool) throws(LoopError) {
        try register(descriptor, 0)
        watches[Int(descriptor)].onInput = call
    }

    /// Ends the waits on a descriptor and takes it out of epoll; to be called before it is closed.
    func forget(_ descriptor: Int32) {
        guard watches.indices.contains(Int(descriptor)) else { return }
        let watch = watches[Int(descriptor)]
        watches[Int(descriptor)] = Watch(generation: watch.generation &+ 1)
        if watch.registered { _ = clinux_epoll_remove(epoll, descriptor) }
        watch.reader?.continuation.resume(returning: .forgotten)
        watch.writer?.continuation.resume(returning: .forgotten)
    }

    func dispatch(_ mask: UInt32, descriptor: Int32, generation: UInt32) {
        let index = Int(descriptor)
        guard watches.indices.contains(index), watches[index].generation == generation else { return }
        let broken = mask & (CLINUX_EPOLLHUP | CLINUX_EPOLLERR) != 0
        var readable = broken || mask & (CLINUX_EPOLLIN | CLINUX_EPOLLRDHUP) != 0
        let writable = broken || mask & CLINUX_EPOLLOUT != 0
        if !broken, readable, watches[index].reader != nil, let handle = watches[index].onInput, handle() {
            readable = false
            // What was called may have closed the descriptor.
            guard writable, watches[index].generation == generation else { return }
        }
        let reader = readable ? watches[index].reader.take() : nil
        let writer = writable ? watches[index].writer.take() : nil
        if broken, reader == nil, writer == nil {
            // Always reported: only taking it out of epoll keeps the loop from spinning.
            _ = clinux_epoll_remove(epoll, descriptor)
            watches[index].registered = false
            watches[index].interest = 0
        } else if !broken, readable && reader == nil || writable && writer == nil {
            var interest = watches[index].interest
            if readable && reader == nil { interest &= ~CLINUX_EPOLLIN }
            if writable && writer == nil { interest &= ~CLINUX_EPOLLOUT }
            setInterest(interest, of: descriptor)
        }
        reader?.continuation.resume(returning: .ready)
        writer?.continuation.resume(returning: .ready)
        if broken { watches[index].onHangUp.take()?() }
    }

    private func park(_ waiting: Watch.Waiting, _ direction: Watch.Direction, _ descriptor: Int32) {
        do throws(LoopError) {
            try register(descriptor, direction == .reading ? CLINUX_EPOLLIN : CLINUX_EPOLLOUT)
            guard watches[Int(descriptor)][direction] == nil else { throw .alreadyWaiting(descriptor: descriptor) }
            watches[Int(descriptor)][direction] = waiting
        } catch {
            waiting.continuation.resume(returning: .refused(error))
        }
    }

    private func cancel(_ ticket: UInt64, _ direction: Watch.Direction, _ descriptor: Int32) {
        guard watches.indices.contains(Int(descriptor)),
            watches[Int(descriptor)][direction]?.ticket == ticket
        else { return }
        watches[Int(descriptor)][direction].take()?.continuation.resume(returning: .cancelled)
    }

    /// Makes sure that epoll reports `events` of the descriptor.
    private func register(_ descriptor: Int32, _ events: UInt32) throws(LoopError) {
        guard descriptor >= 0 else { throw .system(call: "epoll_ctl", errno: EBADF) }
        let index = Int(descriptor)
        if index >= watches.count {
            watches.append(contentsOf: repeatElement(Watch(), count: index + 1 - watches.count))
        }
        let watch = watches[index]
        if watch.registered {
            if watch.interest & events != events { setInterest(watch.interest | events, of: descriptor) }
            return
        }
        let added = clinux_epoll_add(epoll, descriptor, events, eventData(descriptor))
        guard added == 0 else { throw .system(call: "epoll_ctl", errno: -added) }
        watches[index].registered = true
        watches[index].interest = events
    }

    private func setInterest(_ interest: UInt32, of descriptor: Int32) {
        watches[Int(descriptor)].interest = interest
        _ = clinux_epoll_modify(epoll, descriptor, interest, eventData(descriptor))
    }

    private func eventData(_ descriptor: Int32) -> UInt64 {
        UInt64(watches[Int(descriptor)].generation) << 32 | UInt64(UInt32(bitPattern: descriptor))
    }
}
