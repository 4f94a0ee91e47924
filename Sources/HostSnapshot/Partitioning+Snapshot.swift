// What a platform says about partitionable endpoints, as part of snapshots and back.

import GroupAPI
import Host
import Inventory
import PCI

extension Manager.Partitioning {
    init(_ partitioning: Partitioning) {
        switch partitioning {
        case .ioda(let numbers):
            self.init(
                kind: .ioda, count: numbers.count, reserved: numbers.reserved,
                windowStart: numbers.window.map { "0x\(hexadecimal($0.start))" },
                windowSize: numbers.window.map { "0x\(hexadecimal($0.size))" })
        case .p7ioc: self.init(kind: .p7ioc)
        case .logical: self.init(kind: .logical)
        }
    }
}

extension Partitioning {
    init(_ partitioning: Manager.Partitioning) throws(HostError) {
        switch partitioning.kind {
        case .p7ioc: self = .p7ioc
        case .logical: self = .logical
        case .ioda:
            let count = partitioning.count ?? 1
            // As many as a PE number of 16 bits can name.
            guard (1...65536).contains(count) else {
                throw .badSnapshot(reason: "a host bridge with \(count) partitionable endpoints does not exist")
            }
            var window: M64Window?
            if let start = partitioning.windowStart.flatMap(addressNumber),
                let size = partitioning.windowSize.flatMap(addressNumber)
            {
                window = M64Window(start: start, size: size)
            }
            self = .ioda(EndpointNumbers(count: count, reserved: partitioning.reserved ?? 0, window: window))
        }
    }
}

extension Manager.Resource {
    init(_ resource: Resource) {
        self.init(
            start: "0x\(hexadecimal(resource.start))", last: "0x\(hexadecimal(resource.last))",
            flags: Int(truncatingIfNeeded: resource.flags))
    }
}

extension Resource {
    init(_ resource: Manager.Resource) throws(HostError) {
        guard let start = addressNumber(resource.start), let last = addressNumber(resource.last), resource.flags >= 0
        else { throw .badSnapshot(reason: "\"\(resource.start)\" to \"\(resource.last)\" is no range of addresses") }
        self.init(start: start, last: last, flags: UInt64(resource.flags))
    }
}
