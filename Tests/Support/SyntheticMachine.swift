// A machine that is made up, as a value: its host bridges, and the groups that the kernel makes of it, which are written
// down beside them by hand. Nothing here computes a group.

import PCI

/// One machine, and how much of it a reader sees.
public struct SyntheticMachine: CustomStringConvertible, Sendable {
    /// A host bridge with its functions.
    struct HostBridge: Sendable {
        let name: String
        let functions: [SyntheticFunction]
        /// How many PEs there are, on POWER; the firmware keeps the last.
        let endpoints: Int?

        init(_ name: String, endpoints: Int? = nil, _ functions: [SyntheticFunction]) {
            self.name = name
            self.functions = functions
            self.endpoints = endpoints
        }

        /// `10000` of `pci10000:e0`.
        var domain: String { String(name.dropFirst(3).prefix { $0 != ":" }) }
        var domainNumber: UInt32 { UInt32(domain, radix: 16) ?? 0 }
        var bus: UInt8 { UInt8(name.split(separator: ":").last ?? "", radix: 16) ?? 0 }
        /// The place of its node in the device tree.
        var node: String { "/pciex@6\(domain)00000000" }
    }

    /// What translates.
    enum IOMMU: Sendable {
        case intel, amd, power
    }

    /// How much a reader sees.
    public struct Sight: Sendable {
        /// How many bytes of a configuration space, 0 for no such files.
        let configSize: Int
        let deviceTree: Bool

        public static let whole = Sight(configSize: 4096, deviceTree: true)
        /// An unprivileged reader's.
        public static let headers = Sight(configSize: 64, deviceTree: true)
        /// That of a tree whose `config` files were not taken along.
        public static let noConfig = Sight(configSize: 0, deviceTree: true)
        /// What lspci prints with all its -x, on a machine without extended configuration space.
        public static let listing = Sight(configSize: 256, deviceTree: false)
    }

    public let name: String
    let hostBridges: [HostBridge]
    /// nil where the IOMMU is off.
    let iommu: IOMMU?
    public private(set) var sight: Sight
    /// The groups that the kernel makes with the IOMMU on, in the order of their numbers: addresses of all functions but
    /// those that get none.
    public let groups: [[String]]

    public var description: String { name }

    /// All of them.
    public static let all = [
        chipsetDesktop, wideRegisterDesktop, laptop, twoSocketServer, wideDomain, powerServer, powerListing,
    ]

    /// A group is a text of addresses; those of domain 0 come without it.
    init(_ name: String, iommu: IOMMU?, sight: Sight = .whole, _ hostBridges: [HostBridge], groups: [String]) {
        self.name = name
        self.hostBridges = hostBridges
        self.iommu = iommu
        self.sight = sight
        self.groups = groups.map { group in
            group.split(separator: " ").map { $0.split(separator: ":").count == 2 ? "0000:\($0)" : String($0) }
        }
    }

    /// The numbers of the PEs that the kernel's rules give, by address.
    public var endpoints: [String: Int] {
        func endpoints(_ functions: [SyntheticFunction], on bus: String) -> [(String, Int)] {
            functions.flatMap { function in
                (function.endpoint.map { [("\(bus):\(function.slot)", $0)] } ?? [])
                    + endpoints(
                        function.below, on: bus.prefix { $0 != ":" } + ":" + hexadecimal(function.bus ?? 0, width: 2))
            }
        }
        return Dictionary(
            uniqueKeysWithValues: hostBridges.flatMap { endpoints($0.functions, on: String($0.name.dropFirst(3))) })
    }

    /// The same machine as another reader sees it.
    public func seen(by sight: Sight) -> SyntheticMachine {
        var machine = self
        machine.sight = sight
        return machine
    }
}
