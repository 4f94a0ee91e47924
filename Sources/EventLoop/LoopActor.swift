/// The global actor of everything that belongs to the event loop's thread.
@globalActor
public actor LoopActor {
    public static let shared = LoopActor()

    public nonisolated var unownedExecutor: UnownedSerialExecutor { EventLoop.main.asUnownedSerialExecutor() }

    /// Calls `body` at once from code that is known to run on the loop; traps when it does not.
    public static nonisolated func assumeIsolated<Result>(_ body: @LoopActor () throws -> Result) rethrows -> Result {
        EventLoop.main.checkIsolated()
        // The type of `body` without its isolation, as MainActor.assumeIsolated has it: the check above is the proof.
        return try withoutActuallyEscaping(body) { body in
            try unsafeBitCast(body, to: (() throws -> Result).self)()
        }
    }
}
