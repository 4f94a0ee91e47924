// Snapshots from bug reports: one that is taken for a machine is written and read again as the same machine, and can be
// grouped, changed by the simulated kernel and remembered.

import GroupAPI
import HostSnapshot
import Inventory
import JSON
import Varlink

@testable import SimulatedHost

func fuzzSnapshot(_ input: UnsafeRawBufferPointer) {
    guard let inventory = try? Inventory(snapshot: Array(input)) else { return }
    var writer = JSONWriter()
    inventory.snapshot().write(to: &writer)
    let again = try? Inventory(snapshot: writer.bytes)
    require(again == inventory, "it reads differently: \(String(decoding: writer.buffer, as: UTF8.self))")
    guard inventory.devices.count <= 64 else { return }
    checkGroups(of: inventory)
    let kernel = SimulatedKernel(inventory)
    require(kernel.inventory.devices.map(\.address) == inventory.devices.map(\.address), "the kernel has other devices")
}
