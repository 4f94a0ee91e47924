// A machine that exists only as a snapshot. Nothing it shows can be claimed for real.

import EventLoop
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
