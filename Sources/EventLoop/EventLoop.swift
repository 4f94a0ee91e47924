import CLinux
import Glibc
import Synchronization

/// The thread that everything runs on: an epoll loop that is also the executor of `LoopActor` and of every task that
/// is started through it.
///
/// There is one in a process, `EventLoop.main`. What it waits for lives in `Reactor`; this file is about running jobs.
public final class EventLoop: SerialExecutor, TaskExecutor {
    /// The loop.
    public static let main = EventLoop()

    /// What other threads hand over.
    private struct Inbox {
        var jobs: [UnownedJob] = []
        var calls: [@Sendable @LoopActor () -> Void] = []
        var isEmpty: Bool { jobs.isEmpty && calls.isEmpty }
    }

    private let inbox = Mutex(Inbox())
    /// The thread that runs the loop; 0 before it runs.
    private let thread = Atomic<UInt>(0)
    private let wakeUp = clinux_eventfd()
    let reactor = Reactor()

    // Safe without a lock: only `enqueue` on the loop's own thread and `runJobs` touch it.
    private nonisolated(unsafe) var ready = JobQueue()

    /// How many jobs run before descriptors and timers get their turn.
    private static let jobsPerTurn = 128

    private init() {}

    /// Runs `body` and everything it starts on the calling thread until `body` returns or `stop` is called.
    ///
    /// - Returns: what `body` returned or `stop` was given: the exit code of the program.
    public func run(_ body: @escaping @Sendable @LoopActor () async -> Int32) throws(LoopError) -> Int32 {
        try enter()
        defer { leave() }
        spawn { [self] in stop(await body()) }
        return LoopActor.assumeIsolated {
            while true {
                takeInbox()
                runJobs()
                reactor.endTurn()
                if let code = reactor.exitCode.take() { return code }
                reactor.poll(blocking: ready.isEmpty)
            }
        }
    }

    /// Runs the loop on a thread of its own, for programs whose main thread is not theirs to give, such as test
    /// runners and programs that use a library of ours. Does nothing when the loop already runs; any thread may call it,
    /// and several at once.
    ///
    /// - Throws: why the loop cannot run. The next call tries again.
    public func runInBackground() throws(LoopError) {
        try Self.background.withLock { (started) throws(LoopError) in
            guard !started else { return }
            // What the loop sleeps on is opened here, because nobody would hear of it from its own thread.
            do throws(LoopError) { try enter() } catch {
                if error == .alreadyRunning { return }
                throw error
            }
            leave()
            var thread = pthread_t()
            let error = pthread_create(
                &thread, nil,
                { @Sendable _ in
                    _ = try? EventLoop.main.run { await EventLoop.main.never() }
                    EventLoop.background.withLock { $0 = false }
                    return nil
                }, nil)
            guard error == 0 else { throw .system(call: "pthread_create", errno: error) }
            pthread_detach(thread)
            started = true
        }
    }

    /// Whether the loop has a thread of its own.
    private static let background = Mutex(false)

    /// Makes the calling thread the loop's, and opens what the loop sleeps on.
    private func enter() throws(LoopError) {
        guard wakeUp >= 0 else { throw .system(call: "eventfd", errno: -wakeUp) }
        let (claimed, _) = thread.compareExchange(
            expected: 0, desired: UInt(pthread_self()), ordering: .acquiringAndReleasing)
        guard claimed else { throw .alreadyRunning }
        let opened: Result<Void, LoopError> = LoopActor.assumeIsolated {
            do throws(LoopError) {
                try reactor.open(wakeUp: wakeUp)
                return .success(())
            } catch { return .failure(error) }
        }
        guard case .failure(let error) = opened else { return }
        leave()
        throw error
    }

    private func leave() { thread.store(0, ordering: .releasing) }

    /// Ends `run`, which then returns `code`. Tasks that are still suspended stay so.
    @LoopActor public func stop(_ code: Int32) { reactor.exitCode = code }

    /// Starts a task that never leaves this thread.
    @discardableResult
    public func spawn<Success: Sendable>(
        _ body: @escaping @Sendable @LoopActor () async -> Success
    ) -> Task<Success, Never> {
        Task(executorPreference: self) { await body() }
    }

    /// Has `body` called on the loop; may be called on any thread.
    public func submit(_ body: @escaping @Sendable @LoopActor () -> Void) {
        let first = inbox.withLock { inbox in
            defer { inbox.calls.append(body) }
            return inbox.isEmpty
        }
        if first { clinux_eventfd_signal(wakeUp) }
    }
}

extension EventLoop {
    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if isCurrent { return ready.append(job) }
        let first = inbox.withLock { inbox in
            defer { inbox.jobs.append(job) }
            return inbox.isEmpty
        }
        if first { clinux_eventfd_signal(wakeUp) }
    }

    public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    public func checkIsolated() { precondition(isCurrent, "not on the event loop's thread") }

    public func isIsolatingCurrentContext() -> Bool? { isCurrent }

    private var isCurrent: Bool { thread.load(ordering: .relaxed) == UInt(pthread_self()) }

    @LoopActor private func takeInbox() {
        guard reactor.wokenUp else { return }
        reactor.wokenUp = false
        let taken = inbox.withLock { inbox in
            defer { inbox = Inbox() }
            return inbox
        }
        for job in taken.jobs { ready.append(job) }
        for call in taken.calls { call() }
    }

    private func runJobs() {
        let serial = asUnownedSerialExecutor()
        let task = asUnownedTaskExecutor()
        for _ in 0..<Self.jobsPerTurn {
            guard let job = ready.popFirst() else { return }
            job.runSynchronously(isolatedTo: serial, taskExecutor: task)
        }
    }
}
