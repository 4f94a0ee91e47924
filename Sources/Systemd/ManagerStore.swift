// The service manager's store of descriptors (FDSTORE=1 in sd_notify(3)): what is in it the manager passes to the next
// process of the unit, whatever ended this one, until the unit is stopped.

import CLinux
import EventLoop
import Glibc

/// The store of the manager that started the daemon.
@LoopActor
final class ManagerStore: DescriptorStore {
    /// $FDSTORE says how many it takes: systemd has set it since 254, and the unit does for those before.
    /// FileDescriptorStoreMax= in vfiogroupd.service has the same number.
    static let usualCapacity = 4096

    let capacity: Int
    let keeper: Int32
    private let socket: NotifySocket
    private let patience: Duration

    /// - Parameters:
    ///   - socket: the way to the manager.
    ///   - patience: how long the manager may take before it is not waited for any longer.
    init(_ socket: NotifySocket, patience: Duration = .seconds(10)) {
        self.socket = socket
        self.patience = patience
        // One is for a socket of the daemon's own.
        capacity = max((getenv("FDSTORE").flatMap { Int(String(cString: $0)) } ?? Self.usualCapacity) - 1, 0)
        keeper = getppid()
    }

    func keep(_ descriptor: Int32, as name: String) async throws(DescriptorStoreError) {
        guard isStoreName(name) else { throw .init(reason: "\"\(name)\" is no name that the service manager takes") }
        do throws(SystemdError) {
            // FDPOLL=0: without it a descriptor goes when its peer does, and what that means is for the daemon to find out.
            try await socket.send(
                "FDSTORE=1\nFDPOLL=0\nFDNAME=\(name)", with: descriptor, until: .now + patience)
        } catch { throw .init(reason: error.description) }
    }

    func drop(_ name: String) {
        // One that is gone has closed its copies.
        try? socket.post("FDSTOREREMOVE=1\nFDNAME=\(name)")
    }

    /// By BARRIER=1: the manager closes the end of a pipe that it is sent when it has done all that it was told before.
    func settle() async throws(DescriptorStoreError) {
        var ends: [Int32] = [-1, -1]
        let error = clinux_pipe(&ends)
        guard error == 0 else { throw .init(reason: "there is no pipe for a barrier: \(text(of: -error))") }
        let reading = ends[0]
        defer {
            EventLoop.main.forget(reading)
            close(reading)
        }
        let deadline = MonotonicTime.now + patience
        do throws(SystemdError) {
            defer { close(ends[1]) }
            try await socket.send("BARRIER=1", with: ends[1], until: deadline)
        } catch { throw .init(reason: error.description) }
        let isOver = await EventLoop.main.withDeadline(deadline) {
            do throws(LoopError) {
                try await EventLoop.main.readable(reading)
                return true
            } catch { return false }
        }
        guard isOver else {
            throw .init(reason: "the service manager has not answered within \(patience); look whether it is stuck")
        }
    }
}

/// Whether systemd takes it for a FDNAME (fdname_is_valid).
private func isStoreName(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.count <= 255 && name.utf8.allSatisfy { (0x20..<0x7f).contains($0) && $0 != 0x3a }
}
