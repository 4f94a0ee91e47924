// What a test can see of a daemon, and of this process's descriptors, from outside.

import Foundation
import GroupAPI
import Synchronization
import Testing
import TestSupport
import VFIOGroupClient

extension RunningDaemon {
    /// A client of it.
    var client: GroupClient { GroupClient(socket: socket) }

    /// How many sockets it has open: a connection is one, from when it is accepted until the daemon knows that the client
    /// is gone.
    var sockets: Int {
        let folder = "/proc/\(program.pid)/fd"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { name in
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: folder + "/" + name)
            return target?.hasPrefix("socket:") ?? false
        }.count
    }

    /// Waits until it has started; how many sockets it has then, before its first client.
    func socketsWithoutClients() async -> Int {
        #expect(await eventually(within: 60) { self.program.complained.contains("serving") })
        return sockets
    }

    /// Waits until it has so many sockets; whether that came.
    func has(sockets count: Int) async -> Bool { await eventually(within: 60) { self.sockets == count } }

    /// Waits until a group is in a state; whether that came.
    func group(of device: String, gets state: Groups.GroupState) async throws -> Bool {
        let deadline = ContinuousClock.now + .seconds(60)
        while try await client.group(.device(.pci(device))).state != state {
            if ContinuousClock.now > deadline { return false }
            await Task.yield()
        }
        return true
    }
}

/// What a descriptor is open on, as `/proc` names it: `pipe:[4711]`; nil when it is closed.
func target(of number: Int32) -> String? {
    try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(number)")
}

/// Whether this process has any descriptor that is open on that. A number alone says nothing: another test may have it.
func isOpen(_ target: String) -> Bool {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
    return names.contains { Int32($0).flatMap { VFIOGroupClientTests.target(of: $0) } == target }
}

/// Something that several tasks set and look at.
final class Shared<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>

    init(_ value: Value) { mutex = Mutex(value) }

    var value: Value {
        get { mutex.withLock { $0 } }
        set { mutex.withLock { $0 = newValue } }
    }

    func change(_ body: (inout Value) -> Void) { mutex.withLock { body(&$0) } }
}
