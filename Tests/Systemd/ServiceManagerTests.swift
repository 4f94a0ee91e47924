// What the service manager is told, and what it passes. libsystemd reads the environment, so whatever sets that runs
// in a process of its own: setenv in a process with several threads is a race with every getenv.

import EventLoop
import Foundation
import Testing

@testable import Systemd

@Suite("Service manager")
struct ServiceManagerTests {
    @Test("assignments stand one a line, in their order")
    func notificationText() {
        #expect(ServiceState.text(of: [.ready, .status("9 groups")]) == "READY=1\nSTATUS=9 groups")
        #expect(ServiceState.text(of: [.stopping, .errno(ENODEV)]) == "STOPPING=1\nERRNO=19")
        #expect(ServiceState.text(of: [.reloading(microseconds: 7)]) == "RELOADING=1\nMONOTONIC_USEC=7")
    }

    @Test("a status cannot become a second assignment")
    func statusOfOneLine() {
        #expect(ServiceState.text(of: [.status("a\nREADY=1\r\n\0b")]) == "STATUS=a READY=1   b")
    }

    @Test("a long status is cut between characters")
    func longStatus() {
        let text = ServiceState.text(of: [.status("x" + String(repeating: "\u{e9}", count: 4000))])
        #expect(text.utf8.count == "STATUS=".utf8.count + 1023)
        #expect(text.hasSuffix("\u{e9}"))
    }

    @Test("notifications reach NOTIFY_SOCKET as one datagram a call")
    func notifies() async {
        await #expect(processExitsWith: .success) {
            try await onLoop {
                let socket = try LocalSocket(SOCK_DGRAM)
                setenv("NOTIFY_SOCKET", socket.path, 1)
                let manager = ServiceManager()
                #expect(try manager.notify(.ready, .status("9 groups")))
                #expect(try manager.notify(.stopping))
                #expect(try !manager.notify())
                #expect(socket.received() == "READY=1\nSTATUS=9 groups")
                #expect(socket.received() == "STOPPING=1")
                #expect(socket.received() == nil)
            }
        }
    }

    @Test("without a service manager nothing is told, and nothing fails")
    func unsupervised() async {
        await #expect(processExitsWith: .success) {
            unsetenv("NOTIFY_SOCKET")
            unsetenv("LISTEN_FDS")
            unsetenv("WATCHDOG_USEC")
            try await onLoop {
                let manager = ServiceManager()
                let told = try manager.notify(.ready)
                #expect(!told)
                let passed = try manager.takeListenDescriptors()
                #expect(passed == [])
                #expect(manager.store() == nil)
                #expect(manager.feedWatchdog() == nil)
                #expect(manager.extendTimeout() == nil)
            }
        }
    }

    @Test("a service manager that is gone is an error, and one can go on")
    func managerGone() async {
        await #expect(processExitsWith: .success) {
            setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1)
            try await onLoop {
                #expect(throws: SystemdError.notNotified(errno: ENOENT)) { try ServiceManager().notify(.ready) }
            }
        }
    }

    @Test("a manager that does not keep up holds nothing up, and is told all but old statuses in their order")
    func managerBusy() async {
        await #expect(processExitsWith: .success) {
            try await onLoop {
                let socket = try LocalSocket(SOCK_DGRAM)
                setenv("NOTIFY_SOCKET", socket.path, 1)
                let manager = ServiceManager()
                for number in 0..<2000 { try manager.notify(.errno(Int32(number)), .status("\(number)")) }
                for number in 0..<2000 { try manager.notify(.status("busy \(number)")) }
                try manager.notify(.stopping)
                var told: [String] = []
                let deadline = MonotonicTime.now + .seconds(60)
                while told.last != "STOPPING=1", .now < deadline {
                    while let text = socket.received() { told.append(text) }
                    await EventLoop.main.yield()
                }
                #expect(
                    told == (0..<2000).map { "ERRNO=\($0)\nSTATUS=\($0)" } + ["STATUS=busy 1999", "STOPPING=1"])
            }
        }
    }

    @Test("the watchdog is fed twice as often as it wants to be, by the loop alone")
    func watchdog() async {
        await #expect(processExitsWith: .success) {
            try await onLoop {
                let socket = try LocalSocket(SOCK_DGRAM)
                setenv("NOTIFY_SOCKET", socket.path, 1)
                setenv("WATCHDOG_PID", "\(getpid())", 1)
                setenv("WATCHDOG_USEC", "100000", 1)
                let task = try #require(ServiceManager().feedWatchdog())
                #expect(getenv("WATCHDOG_USEC") == nil)
                var count = 0
                let deadline = MonotonicTime.now + .seconds(60)
                while count < 3, .now < deadline {
                    while let text = socket.received() {
                        #expect(text == "WATCHDOG=1")
                        count += 1
                    }
                    await EventLoop.main.yield()
                }
                #expect(count >= 3)
                // Stuck for longer than the watchdog waits.
                while socket.received() != nil {}
                usleep(200_000)
                #expect(socket.received() == nil)
                task.cancel()
            }
        }
    }

    @Test("a start or an end that takes long is given more time again and again")
    func extendsTimeout() async {
        #expect(ServiceState.text(of: [.extendTimeout(.seconds(30))]) == "EXTEND_TIMEOUT_USEC=30000000")
        await #expect(processExitsWith: .success) {
            try await onLoop {
                let socket = try LocalSocket(SOCK_DGRAM)
                setenv("NOTIFY_SOCKET", socket.path, 1)
                let manager = ServiceManager()
                let task = manager.telling(
                    .extendTimeout(.seconds(1)), every: .milliseconds(1), after: .milliseconds(1))
                var count = 0
                let deadline = MonotonicTime.now + .seconds(60)
                while count < 3, .now < deadline {
                    if socket.received() == "EXTEND_TIMEOUT_USEC=1000000" { count += 1 }
                    await EventLoop.main.yield()
                }
                #expect(count == 3)
                task.cancel()
            }
        }
    }

    @Test("passed descriptors come with their names, close-on-exec, and once")
    func socketActivation() async {
        await #expect(processExitsWith: .success) {
            let listener = try LocalSocket(SOCK_STREAM)
            try #require(listen(listener.descriptor, 1) == 0)
            _ = fcntl(listener.descriptor, F_SETFD, 0)
            // What is open below the listener passes for passed too: the protocol has no gaps.
            let others = Int(listener.descriptor) - 3
            setenv("LISTEN_PID", "\(getpid())", 1)
            setenv("LISTEN_FDS", "\(others + 1)", 1)
            setenv("LISTEN_FDNAMES", (Array(repeating: "other", count: others) + ["varlink"]).joined(separator: ":"), 1)

            let passed = try ServiceManager().takeListenDescriptors()
            #expect(passed.count == others + 1)
            let varlink = try #require(passed.last)
            #expect(varlink == PassedDescriptor(descriptor: listener.descriptor, name: "varlink"))
            #expect(throws: Never.self) { try varlink.checkListener() }
            #expect(fcntl(varlink.descriptor, F_GETFD) == FD_CLOEXEC)
            let client = try LocalSocket.connected(to: listener.path)
            defer { close(client) }
            let peer = accept(varlink.descriptor, nil, nil)
            #expect(peer >= 0)
            close(peer)

            #expect(getenv("LISTEN_FDS") == nil)
            #expect(try ServiceManager().takeListenDescriptors() == [])
        }
    }

    @Test("descriptors that were meant for another process are left alone")
    func otherProcess() async {
        await #expect(processExitsWith: .success) {
            setenv("LISTEN_PID", "1", 1)
            setenv("LISTEN_FDS", "1", 1)
            let passed = try ServiceManager().takeListenDescriptors()
            #expect(passed == [])
        }
    }

    @Test("an environment that makes no sense is an error", arguments: ["x", "-1", "1000000"])
    func nonsense(_ count: String) async {
        await #expect(processExitsWith: .success) { [count] in
            setenv("LISTEN_PID", "\(getpid())", 1)
            setenv("LISTEN_FDS", count, 1)
            #expect(throws: SystemdError.self) { try ServiceManager().takeListenDescriptors() }
        }
    }

    @Test("only a listening AF_UNIX stream passes for a listener")
    func listenerFlaws() throws {
        func flaw(_ descriptor: Int32) -> ListenerFlaw? {
            do {
                try PassedDescriptor(descriptor: descriptor, name: "varlink").checkListener()
                return nil
            } catch SystemdError.notAListener(_, let flaw) {
                return flaw
            } catch {
                return .unknown(errno: 0)
            }
        }
        let stream = try LocalSocket(SOCK_STREAM)
        #expect(flaw(stream.descriptor) == .notListening)
        try #require(listen(stream.descriptor, 1) == 0)
        #expect(flaw(stream.descriptor) == nil)
        let datagrams = try LocalSocket(SOCK_DGRAM)
        #expect(flaw(datagrams.descriptor) == .otherType(Int32(SOCK_DGRAM.rawValue)))
        let internet = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(internet) }
        #expect(flaw(internet) == .otherFamily(AF_INET))
        let null = open("/dev/null", O_RDONLY)
        defer { close(null) }
        #expect(flaw(null) == .notASocket)
        #expect(flaw(-1) == .unknown(errno: EBADF))
        withExtendedLifetime((stream, datagrams)) {}
    }

    @Test("an error says which descriptor, what is wrong, and what to do")
    func errorText() {
        let passed = PassedDescriptor(descriptor: 3, name: "varlink")
        #expect(
            SystemdError.notAListener(passed, .notListening).description
                == "descriptor 3 ('varlink') of socket activation does not listen (is Accept=yes set?);"
                + " pass a socket of ListenStream= with a path"
        )
    }
}
