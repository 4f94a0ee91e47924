// A machine that exists only as a snapshot. Nothing it shows can be claimed for real.

import CLinux
import EventLoop
import Glibc
import GroupAPI
import JSON
import Varlink

/// A host made from a snapshot.
@LoopActor
public final class SimulatedHost: Host {
    public nonisolated let name: String
    private let inventory: Inventory

    /// A host with this inventory.
    public nonisolated init(name: String, inventory: Inventory) {
        self.name = name
        self.inventory = inventory
    }

    /// A host from a snapshot in its JSON form.
    public nonisolated convenience init(name: String, snapshot: [UInt8]) throws(HostError) {
        self.init(name: name, inventory: try Inventory(snapshot: snapshot))
    }

    /// A host from a snapshot in a file; nil where the path leads to no regular file.
    public nonisolated convenience init?(snapshotFile path: String) throws(HostError) {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        // A machine of 10,000 devices takes about 6 MB.
        let capacity = 64 << 20
        guard status.st_size <= capacity else {
            throw .badSnapshot(reason: "\(path) is larger than \(capacity) bytes")
        }
        let bytes: [UInt8]
        do throws(SystemError) { bytes = try Self.contents(of: path) } catch {
            throw .badSnapshot(reason: "\(path) cannot be read: \(errorText(error.errno))")
        }
        try self.init(name: path, snapshot: bytes)
    }

    private nonisolated static func contents(of path: String) throws(SystemError) -> [UInt8] {
        let file = clinux_openat(AT_FDCWD, path, O_RDONLY)
        guard file >= 0 else { throw SystemError(errno: -file) }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let n = read(file, &chunk, chunk.count)
            if n < 0, errno == EINTR { continue }
            guard n >= 0 else { throw SystemError(errno: errno) }
            if n == 0 { return bytes }
            bytes += chunk[..<n]
        }
    }

    /// The machine that is built in: two sockets and a VMD domain, a graphics card with its audio function, a switch
    /// with a network card and its VFs, a PCIe-to-PCI bridge, NVMe disks, and a root port without ACS.
    public nonisolated static func demo() throws(HostError) -> SimulatedHost {
        try SimulatedHost(name: "the built-in demo machine", snapshot: PackageResources.demo_json)
    }

    public func readInventory() async throws(HostError) -> Inventory { inventory }

    public func awaitChange() async throws(LoopError) {
        try await EventLoop.main.sleep(until: MonotonicTime(nanoseconds: .max))
    }
}

extension Inventory {
    /// Reads a snapshot in its JSON form.
    public init(snapshot bytes: [UInt8]) throws(HostError) {
        let value: JSONValue
        do throws(JSONSyntaxError) {
            value = try JSONValue(parsing: String(decoding: bytes, as: UTF8.self), limits: .lenient)
        } catch {
            throw .badSnapshot(reason: "it is no JSON: \(error.reason) at byte \(error.offset)")
        }
        let snapshot: Manager.Snapshot
        do throws(InvalidParameter) { snapshot = try Manager.Snapshot(reading: value, .reply) } catch {
            throw .badSnapshot(reason: "\(error.path) is missing or not of its type")
        }
        try self.init(snapshot)
    }
}
