/// Waiting for descriptors.
extension EventLoop {
    /// Suspends until `descriptor` has something to read, its peer has closed, or it has failed: the read that follows
    /// tells which. One task at a time may wait so on a descriptor.
    @LoopActor public func readable(_ descriptor: Int32) async throws(LoopError) {
        try await reactor.wait(.reading, descriptor)
    }

    /// Suspends until `descriptor` takes output or has failed: the write that follows tells which. One task at a time
    /// may wait so on a descriptor.
    @LoopActor public func writable(_ descriptor: Int32) async throws(LoopError) {
        try await reactor.wait(.writing, descriptor)
    }

    /// Has `call` called once as soon as the peer of `descriptor` is gone (EPOLLHUP; a half-closed socket is not) or
    /// the descriptor has failed, whether or not anyone waits on it.
    @LoopActor public func onHangUp(
        _ descriptor: Int32, _ call: @escaping @LoopActor () -> Void
    ) throws(LoopError) {
        try reactor.watchHangUp(descriptor, call)
    }

    /// Ends all waits on `descriptor` with `LoopError.forgotten`. Call it before closing a descriptor that was ever
    /// waited on: the number may be another's a moment later.
    @LoopActor public func forget(_ descriptor: Int32) { reactor.forget(descriptor) }
}
