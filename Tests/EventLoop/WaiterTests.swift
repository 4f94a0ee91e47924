import EventLoop
import Testing

// The tests are isolated one by one: the runner looks at an isolated suite before anything runs the loop.
@Suite("Waiters", .timeLimit(.minutes(15)))
struct WaiterTests {
    let loop = EventLoop.main

    init() throws { try EventLoop.main.runInBackground() }

    /// Waits in a task of its own; the result is there when it ends.
    @LoopActor private func task<Value>(_ waiter: Waiter<Value>) -> Task<Result<Value, LoopError>, Never> {
        loop.spawn {
            do throws(LoopError) { return .success(try await waiter.wait()) } catch { return .failure(error) }
        }
    }

    @Test("What comes while it waits ends the wait")
    @LoopActor func resumed() async {
        let waiter = Waiter<Int>()
        let waiting = task(waiter)
        await loop.yield()
        waiter.resume(returning: 7)
        #expect(await waiting.value == .success(7))
    }

    @Test("What came before the wait is not missed")
    @LoopActor func resumedBefore() async throws {
        let waiter = Waiter<Int>()
        waiter.resume(returning: 7)
        #expect(try await waiter.wait() == 7)
        let deaf = Waiter<Int>()
        deaf.resume(returning: 8)
        #expect(await deaf.waitIgnoringCancellation() == 8)
    }

    @Test("A cancelled wait ends, also when it is cancelled before it begins")
    @LoopActor func cancelled() async {
        for yields in 0..<3 {
            let waiter = Waiter<Int>()
            let waiting = task(waiter)
            for _ in 0..<yields { await loop.yield() }
            waiting.cancel()
            #expect(await waiting.value == .failure(.cancelled))
            // It has ended: a value that comes late is nobody's.
            waiter.resume(returning: 7)
        }
    }

    @Test("A value that came before the cancellation counts")
    @LoopActor func resumedAndCancelled() async {
        for yields in 0..<2 {
            let waiter = Waiter<Int>()
            let waiting = task(waiter)
            for _ in 0..<yields { await loop.yield() }
            waiter.resume(returning: 7)
            waiting.cancel()
            #expect(await waiting.value == .success(7))
        }
    }

    @Test("Who ignores cancellation waits on")
    @LoopActor func ignored() async {
        let waiter = Waiter<Int>()
        let waiting = loop.spawn { await waiter.waitIgnoringCancellation() }
        await loop.yield()
        waiting.cancel()
        for _ in 0..<3 { await loop.yield() }
        waiter.resume(returning: 7)
        #expect(await waiting.value == 7)
    }

    @Test("Of two values the first counts")
    @LoopActor func resumedTwice() async throws {
        let early = Waiter<Int>()
        early.resume(returning: 1)
        early.resume(returning: 2)
        #expect(try await early.wait() == 1)
        let late = Waiter<Int>()
        let waiting = task(late)
        await loop.yield()
        late.resume(returning: 1)
        late.resume(returning: 2)
        #expect(await waiting.value == .success(1))
    }

    @Test("Many waiters of a condition are resumed in the order in which they came")
    @LoopActor func order() async {
        let (condition, log) = (Condition(), Log())
        var tasks: [Task<Void, Never>] = []
        for number in 0..<100 {
            tasks.append(
                loop.spawn {
                    try? await condition.wait { log.isOpen }
                    log.entries.append(number)
                })
        }
        await loop.yield()
        log.isOpen = true
        condition.signal()
        for task in tasks { await task.value }
        #expect(log.entries == Array(0..<100))
    }

    @Test("Who finds nothing after a signal waits on, beside those who wait for something else")
    @LoopActor func lookingAgain() async {
        let (condition, log) = (Condition(), Log())
        let patient = loop.spawn { (try? await condition.wait { log.entries.count >= 2 }) != nil }
        let first = loop.spawn { try? await condition.wait { log.entries.first } }
        await loop.yield()
        condition.signal()
        log.entries.append(5)
        condition.signal()
        #expect(await first.value == 5)
        log.entries.append(6)
        condition.signal()
        #expect(await patient.value)
    }

    @Test("What is there counts more than a cancellation")
    @LoopActor func thereAndCancelled() async {
        let (condition, log) = (Condition(), Log())
        let lucky = loop.spawn { try? await condition.wait { log.entries.first } }
        let unlucky = loop.spawn { () -> LoopError? in
            do throws(LoopError) { try await condition.wait { log.isOpen } } catch { return error }
            return nil
        }
        await loop.yield()
        lucky.cancel()
        unlucky.cancel()
        log.entries.append(5)
        #expect(await lucky.value == 5)
        #expect(await unlucky.value == .cancelled)
    }
}

@LoopActor
private final class Log {
    var entries: [Int] = []
    var isOpen = false
}
