/// Waiting for descriptors.
extension EventLoop {
    /// Suspends until `descriptor` has something to read, its peer has closed, or it has failed: the read that follows
    /// tells which. One task at a time may wait so on a descriptor.
    ///
    /// - Parameters:
    ///   - descriptor: a descriptor that does not block.
    ///   - heedingCancellation: end the wait when the task is cancelled. Without it the wait is a little quicker, and
    ///   -   who cancels the task has to call `endReading` or `forget`.
    /// - Throws: `.cancelled`, or why it cannot be waited for.
    @LoopActor public func readable(
        _ descriptor: Int32, heedingCancellation: Bool = true
    ) async throws(LoopError) {
        try await reactor.wait(.reading, descriptor, heedingCancellation: heedingCancellation)
    }

    /// Ends the wait of the reader of `descriptor`, if there is one, with `LoopError.forgotten`.
    @LoopActor public func endReading(_ descriptor: Int32) { reactor.endReading(descriptor) }

    /// Suspends until `descriptor` takes output or has failed: the write that follows tells which. One task at a time
    /// may wait so on a descriptor.
    @LoopActor public func writable(_ descriptor: Int32) async throws(LoopError) {
        try await reactor.wait(.writing, descriptor, heedingCancellation: true)
    }

    /// Has `call` called once as soon as the peer of `descriptor` is gone (EPOLLHUP; a half-closed socket is not) or
    /// the descriptor has failed, whether or not anyone waits on it.
    @LoopActor public func onHangUp(
        _ descriptor: Int32, _ call: @escaping @LoopActor () -> Void
    ) throws(LoopError) {
        try reactor.watchHangUp(descriptor, call)
    }

    /// Has `call` called whenever there is input for a task that waits for it in `readable`, before the task is woken:
    /// for what can be done at once, since waking a task costs as much as answering a small call. The task goes on
    /// waiting when it returns true. Until `forget`.
    @LoopActor public func onInput(
        _ descriptor: Int32, _ call: @escaping @LoopActor () -> Bool
    ) throws(LoopError) {
        try reactor.watchInput(descriptor, call)
    }

    /// Ends all waits on `descriptor` with `LoopError.forgotten`. Call it before closing a descriptor that was ever
    /// waited on: the number may be another's a moment later.
    @LoopActor public func forget(_ descriptor: Int32) { reactor.forget(descriptor) }
}
