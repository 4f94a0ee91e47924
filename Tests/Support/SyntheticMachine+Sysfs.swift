// The files that a kernel would show of a machine that is made up.

import PCI

extension SyntheticMachine {
    /// Writes its tree, into a fresh folder below another one (nil for the temporary directory).
    public func written(below parent: String? = nil) -> SyntheticSysfs {
        let sysfs = SyntheticSysfs(below: parent)
        for bridge in hostBridges {
            if let count = bridge.endpoints, sight.deviceTree { writeNode(of: bridge, endpoints: count, sysfs) }
            write(bridge.functions, of: bridge, on: bridge.bus, below: bridge.name, sysfs)
        }
        if let iommu {
            for number in groups.indices { write(kernelGroup: number, iommu, sysfs) }
        }
        return sysfs
    }

    private func write(kernelGroup number: Int, _ iommu: IOMMU, _ sysfs: SyntheticSysfs) {
        let interrupts = "0x00000000fee00000 0x00000000feefffff msi"
        // The last is HyperTransport's.
        let regions =
            switch iommu {
            case .intel: interrupts
            case .amd: interrupts + "\n0x000000fd00000000 0x000000ffffffffff reserved"
            case .power: ""
            }
        sysfs.kernelGroup(number, "type", iommu == .power ? "unknown" : "DMA-FQ")
        sysfs.kernelGroup(number, "reserved_regions", regions)
    }

    private func writeNode(of bridge: HostBridge, endpoints count: Int, _ sysfs: SyntheticSysfs) {
        sysfs.property("compatible", of: bridge.node, strings: "ibm,power9-pciex", "ibm,ioda3-phb")
        sysfs.property("ibm,opal-phbid", of: bridge.node, cells: 0, bridge.domainNumber)
        sysfs.property("ibm,opal-num-pes", of: bridge.node, cells: UInt32(count))
        sysfs.property("ibm,opal-reserved-pe", of: bridge.node, cells: UInt32(count - 1))
        sysfs.node(bridge.node, ofHostBridge: bridge.name)
    }

    private func write(
        _ functions: [SyntheticFunction], of bridge: HostBridge, on bus: UInt8, below parent: String,
        _ sysfs: SyntheticSysfs
    ) {
        func address(_ function: SyntheticFunction) -> String {
            "\(bridge.domain):\(hexadecimal(bus, width: 2)):\(function.slot)"
        }
        let slots = Dictionary(grouping: functions) { $0.slot.prefix(2) }
        for function in functions {
            let (address, siblings) = (address(function), slots[function.slot.prefix(2)] ?? [])
            let config = function.config(on: bus, multifunction: siblings.count > 1).prefix(sight.configSize)
            let group = iommu == nil ? nil : groups.firstIndex { $0.contains(address) }
            sysfs.add(
                address, below: parent, id: function.id, classCode: function.classCode,
                config: config.isEmpty ? nil : Array(config), driver: function.driver, kernelGroup: group)
            if iommu == .power, let endpoint = function.endpoint {
                let number = hexadecimal(UInt(endpoint))
                sysfs.folder.write(sysfs.path(of: address) + "/eeh_pe_config_addr", "0x\(number)\n")
                if let group { sysfs.kernelGroup(group, "name", "domain\(bridge.domainNumber)-pe\(number)") }
            }
            write(function.below, of: bridge, on: function.bus ?? 0, below: address, sysfs)
        }
        // The links go both ways, so that the folders of both must be known.
        for function in functions {
            guard let (physical, number) = function.origin else { continue }
            sysfs.virtual(address(function), number: number, of: physical)
        }
    }
}
