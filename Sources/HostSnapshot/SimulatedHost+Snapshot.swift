// A simulated host from a snapshot, and the machine that is built in.

import Files
import Glibc
import GroupAPI
import Host
import Inventory
import JSON
import PCI
import SimulatedHost
import Varlink

extension SimulatedHost {
    /// A host from a snapshot in its JSON form.
    public nonisolated convenience init(name: String, snapshot: [UInt8]) throws(HostError) {
        let snapshot = try Manager.Snapshot(bytes: snapshot)
        self.init(name: name, inventory: try Inventory(snapshot), serialNumbers: snapshot.serialNumbers)
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
        do throws(SystemError) { bytes = try Files.contents(of: path, limit: capacity) } catch {
            throw .badSnapshot(reason: "\(path) cannot be read: \(errorText(error.errno))")
        }
        try self.init(name: path, snapshot: bytes)
    }

    /// The machine that is built in: two sockets and a VMD domain, a graphics card with its audio function, a switch
    /// with a network card and its VFs, a PCIe-to-PCI bridge, NVMe disks, and a root port without ACS.
    ///
    /// Its root file system lies on the NVMe disk at the root port, and its way to the world is the network card on the
    /// board: what a claim must not take by accident.
    public static func demo() throws(HostError) -> SimulatedHost {
        let machine = try SimulatedHost(name: "the built-in demo machine", snapshot: PackageResources.demo_json)
        let uses: [(String, DeviceUse.Kind)] = [
            ("0000:02:00.0", .mounted(at: "/", via: "nvme0n1p2")), ("0000:02:00.0", .swap(via: "nvme0n1p3")),
            ("0000:03:00.0", .route(to: "default", interface: "enp3s0")),
        ]
        machine.uses = uses.compactMap { name, kind in PCIAddress(name).map { DeviceUse(.pci($0), kind) } }
        return machine
    }
}

extension Inventory {
    /// Reads a snapshot in its JSON form.
    public init(snapshot bytes: [UInt8]) throws(HostError) { try self.init(Manager.Snapshot(bytes: bytes)) }
}

extension Manager.Snapshot {
    fileprivate init(bytes: [UInt8]) throws(HostError) {
        let value: JSONValue
        do throws(JSONSyntaxError) {
            value = try JSONValue(parsing: String(decoding: bytes, as: UTF8.self), limits: .lenient)
        } catch {
            throw .badSnapshot(reason: "it is no JSON: \(error.reason) at byte \(error.offset)")
        }
        do throws(InvalidParameter) { self = try Manager.Snapshot(reading: value, .reply) } catch {
            throw .badSnapshot(reason: "\(error.path) is missing or not of its type")
        }
    }
}
