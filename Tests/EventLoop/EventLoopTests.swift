import CLinux
import EventLoop
import Glibc
import Testing

/// A pair of connected sockets, closed at the end.
@LoopActor
private final class SocketPair {
    let left: Int32
    let right: Int32

    init() throws {
        try EventLoop.main.runInBackground()
        var numbers: [Int32] = [-1, -1]
        let flags = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        try #require(socketpair(AF_UNIX, flags, 0, &numbers) == 0)
        (left, right) = (numbers[0], numbers[1])
    }

    isolated deinit {
        EventLoop.main.forget(left)
        EventLoop.main.forget(right)
        close(left)
        close(right)
    }

    func send(_ text: String, from descriptor: Int32) {
        _ = text.withCString { Glibc.send(descriptor, $0, strlen($0), 0) }
    }
    func receive(_ descriptor: Int32) -> Int {
        var buffer = [UInt8](repeating: 0, count: 256)
        return recv(descriptor, &buffer, buffer.count, 0)
    }
}

// The tests are isolated one by one: the runner looks at an isolated suite before anything runs the loop.
@Suite("The event loop", .timeLimit(.minutes(15)))
struct EventLoopTests {
    let loop = EventLoop.main

    init() throws { try EventLoop.main.runInBackground() }

    @Test("A reader is woken by input, each time")
    @LoopActor func readable() async throws {
        let pair = try SocketPair()
        for _ in 0..<100 {
            let reading = loop.spawn { [pair] in
                do { try await EventLoop.main.readable(pair.left) } catch { return -1 }
                return pair.receive(pair.left)
            }
            await loop.yield()
            pair.send("hello", from: pair.right)
            #expect(await reading.value == 5)
        }
    }

    @Test("Input that nobody waits for neither spins nor is lost")
    @LoopActor func unread() async throws {
        let pair = try SocketPair()
        try loop.onHangUp(pair.left) {}
        pair.send("a", from: pair.right)
        try await loop.readable(pair.left)
        for _ in 0..<10 { await loop.yield() }
        try await loop.readable(pair.left)
        #expect(pair.receive(pair.left) == 1)
    }

    @Test("A writer is woken when there is room, beside a reader on the same descriptor")
    @LoopActor func writable() async throws {
        let pair = try SocketPair()
        let block = [UInt8](repeating: 0, count: 65536)
        while send(pair.left, block, block.count, 0) > 0 {}
        let writing = loop.spawn { [pair] in (try? await EventLoop.main.writable(pair.left)) != nil }
        let reading = loop.spawn { [pair] in (try? await EventLoop.main.readable(pair.left)) != nil }
        await loop.yield()
        var drained = [UInt8](repeating: 0, count: 65536)
        while recv(pair.right, &drained, drained.count, 0) > 0 {}
        #expect(await writing.value)
        pair.send("x", from: pair.right)
        #expect(await reading.value)
    }

    @Test("A cancelled wait ends, also when it is cancelled before it begins")
    @LoopActor func cancellation() async throws {
        let pair = try SocketPair()
        for yields in 0..<3 {
            let waiting = loop.spawn { [pair] () -> LoopError? in
                do throws(LoopError) { try await EventLoop.main.readable(pair.left) } catch { return error }
                return nil
            }
            for _ in 0..<yields { await loop.yield() }
            waiting.cancel()
            #expect(await waiting.value == .cancelled)
        }
        pair.send("x", from: pair.right)
        try await loop.readable(pair.left)
    }

    @Test("A cancellation finds a task of another executor wherever it is on the way to its wait")
    func cancellationFromOutside() async throws {
        for round in 0..<200 {
            let pair = try await SocketPair()
            // More jobs than a turn takes, so that others come between two jobs of the one that waits.
            let others = (0..<200).map { _ in Task { @LoopActor in await EventLoop.main.yield() } }
            let waiting = Task { @LoopActor [pair] in try await EventLoop.main.readable(pair.left) }
            for _ in 0..<round % 10 { await Task.yield() }
            waiting.cancel()
            await #expect(throws: LoopError.cancelled) { try await waiting.value }
            for other in others { await other.value }
        }
    }

    @Test("Forgetting a descriptor ends the waits on it")
    @LoopActor func forgetting() async throws {
        let pair = try SocketPair()
        let waiting = loop.spawn { [pair] () -> LoopError? in
            do throws(LoopError) { try await EventLoop.main.readable(pair.left) } catch { return error }
            return nil
        }
        await loop.yield()
        loop.forget(pair.left)
        #expect(await waiting.value == .forgotten)
    }

    @Test("A second reader of one descriptor is refused, and the first one keeps waiting")
    @LoopActor func secondReader() async throws {
        let pair = try SocketPair()
        let first = loop.spawn { [pair] in (try? await EventLoop.main.readable(pair.left)) != nil }
        await loop.yield()
        await #expect(throws: LoopError.alreadyWaiting(descriptor: pair.left)) { try await loop.readable(pair.left) }
        pair.send("x", from: pair.right)
        #expect(await first.value)
    }

    @Test("A regular file cannot be waited for")
    @LoopActor func regularFile() async throws {
        let file = try #require(tmpfile())
        defer { fclose(file) }
        await #expect(throws: LoopError.system(call: "epoll_ctl", errno: EPERM)) {
            try await loop.readable(fileno(file))
        }
    }

    @Test("A hang-up is told once, a half-closed socket is none")
    @LoopActor func hangUp() async throws {
        let pair = try SocketPair()
        let counter = Counter()
        try loop.onHangUp(pair.left) { counter.value += 1 }
        shutdown(pair.right, Int32(SHUT_WR))
        try await loop.readable(pair.left)
        try await loop.sleep(for: .milliseconds(1))
        #expect(counter.value == 0)
        shutdown(pair.right, Int32(SHUT_RD))
        let deadline = MonotonicTime.now + .seconds(5)
        while counter.value == 0, .now < deadline { try await loop.sleep(for: .milliseconds(1)) }
        try await loop.sleep(for: .milliseconds(5))
        #expect(counter.value == 1)
    }

    @Test("Timers come up in the order of their time, those of one time in that of their making")
    @LoopActor func timers() async throws {
        let log = Log()
        let start = MonotonicTime.now
        for (name, delay) in [("c", 3), ("a", 1), ("b", 2), ("b'", 2)] {
            loop.schedule(at: start + .milliseconds(delay)) { log.entries.append(name) }
        }
        loop.schedule(at: start + .milliseconds(2)) { log.entries.append("never") }.cancel()
        try await loop.sleep(until: start + .milliseconds(4))
        #expect(log.entries == ["a", "b", "b'", "c"])
    }

    @Test("A cancelled sleep ends at once")
    @LoopActor func cancelledSleep() async {
        let sleeping = loop.spawn { (try? await EventLoop.main.sleep(for: .seconds(3600))) == nil }
        await loop.yield()
        sleeping.cancel()
        #expect(await sleeping.value)
    }

    @Test("A deadline cancels what is late, and leaves alone what is not")
    @LoopActor func deadline() async {
        let late = await loop.withDeadline(.now + .milliseconds(5)) {
            (try? await EventLoop.main.sleep(for: .seconds(3600))) == nil
        }
        #expect(late)
        #expect(await loop.withDeadline(.now + .seconds(60)) { 7 } == 7)
    }

    @Test("Tasks that are always ready do not keep timers and descriptors waiting")
    @LoopActor func fairness() async throws {
        let stop = Counter()
        for _ in 0..<3 {
            loop.spawn { while stop.value == 0 { await EventLoop.main.yield() } }
        }
        let pair = try SocketPair()
        let reading = loop.spawn { [pair] in (try? await EventLoop.main.readable(pair.left)) != nil }
        try await loop.sleep(for: .milliseconds(2))
        pair.send("x", from: pair.right)
        #expect(await reading.value)
        stop.value = 1
    }

    @Test("A child's end is told, with how it ended")
    @LoopActor func childProcess() async throws {
        for (script, ending) in [
            ("exit 3", ProcessHandle.Ending.exited(code: 3)), ("kill -9 $$", .killed(signal: SIGKILL)),
        ] {
            var pid: pid_t = 0
            var arguments: [UnsafeMutablePointer<CChar>?] =
                ["/bin/sh", "-c", script].map { (text: String) in strdup(text) } + [nil]
            let spawned = posix_spawn(&pid, "/bin/sh", nil, nil, &arguments, nil)
            for argument in arguments { free(argument) }
            try #require(spawned == 0)
            let process = try ProcessHandle(pid: pid)
            #expect(try await process.ended() == ending)
        }
    }

    @Test("Calls submitted from other threads are made on the loop")
    @LoopActor func submission() async {
        let counter = Counter()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<100 {
                group.addTask { EventLoop.main.submit { counter.value += 1 } }
            }
        }
        let deadline = MonotonicTime.now + .seconds(5)
        while counter.value < 100, .now < deadline { await loop.yield() }
        #expect(counter.value == 100)
    }
}

@LoopActor private final class Counter { var value = 0 }
@LoopActor private final class Log { var entries: [String] = [] }
