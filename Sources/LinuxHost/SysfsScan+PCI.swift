// Reading PCI functions: each folder once, bridges with all that lies below them.

import Files
import Glibc
import Inventory
import PCI

extension SysfsScan {
    /// Reads a function and what lies below it, again when it changes meanwhile. A function that is gone is no error;
    /// one that keeps changing is taken as it is, with what vanishes unknown.
    mutating func scanSubtree(_ address: PCIAddress, _ above: borrowing Directory, _ position: Position) {
        // A domain has 256 buses; only a tree that was made up goes deeper, and would exhaust the stack.
        guard position.path.count <= 300 else {
            warn("it lies deeper than any bus can, and is left out with all below it", device: .pci(address))
            return
        }
        let name = address.description
        for attempt in 1...Self.attempts {
            let folder: Directory
            do throws(SystemError) { folder = try Directory(name, below: above) } catch {
                if !error.isVanished {
                    warn("its folder cannot be read: \(errorText(error.errno))", device: .pci(address))
                }
                return
            }
            let mark = mark()
            do throws(Vanished) {
                return try scanFunction(address, folder, position, lenient: attempt == Self.attempts)
            } catch {
                rewind(to: mark)
            }
        }
    }

    private mutating func scanFunction(
        _ address: PCIAddress, _ folder: borrowing Directory, _ position: Position, lenient: Bool
    ) throws(Vanished) {
        guard !seen.contains(.pci(address)) else { return }
        guard let contents = try? FunctionFolder(folder) else { throw Vanished() }
        var reader = AttributeReader(attributes: contents.attributes, lenient: lenient)
        let path = position.path + [address.description]
        let remembered = try capabilities(of: address, folder, &reader)
        var function = PCIFunction(
            hostBridge: position.hostBridge, parent: position.parent,
            identification: try identification(folder, &reader, remembered.config.identification),
            capabilities: remembered.config.capabilities, isBridge: false)
        if let physical = try reader.linkName("physfn", .physicalFunction, folder).flatMap({ PCIAddress($0) }) {
            function.virtualFunction = .init(physicalFunction: physical, index: -1)
        }
        for number in contents.virtualFunctions {
            guard let virtual = (try? folder.linkName("virtfn\(number)")).flatMap({ PCIAddress($0) }) else { continue }
            function.virtualFunctions.append(virtual)
        }
        function.isBridge =
            switch function.capabilities.header {
            case .present(let header): header.isBridge
            case .absent, .unknown:
                function.identification.classCode?.isBridgeWithBus ?? !contents.functions.isEmpty
            }
        // In one piece: a device's fields lie behind a reference, and each that is set alone is another copy of it.
        let device = Device(
            address: .pci(address), kind: .pci(function), driver: try reader.linkName("driver", .driver, folder),
            iommu: try reader.linkName("iommu", .iommu, folder),
            kernelGroup: try reader.linkName("iommu_group", .iommuGroup, folder).flatMap(decimal),
            numaNode: try reader.text("numa_node", .numaNode, folder).flatMap(decimal))
        seen.insert(device.address)
        devices.append(device)
        if keepsFolders { functionFolders[device.address] = path }
        self.remembered[address] = remembered
        for warning in remembered.config.warnings {
            warn(warning.message, device: .pci(address), offset: warning.offset)
        }
        if contents.attributes.contains(.driverOverride) {
            lockedAttributes.append(
                LockedAttribute(
                    position: devices.count - 1, path: (path + ["driver_override"]).joined(separator: "/")))
        }
        for message in reader.failures { warn(message, device: .pci(address)) }

        let below = Position(hostBridge: position.hostBridge, parent: address, path: path)
        for child in contents.functions { scanSubtree(child, folder, below) }
        for bridge in contents.hostBridges {
            guard let nested = try? Directory(bridge.description, below: folder) else { throw Vanished() }
            try scanNested(bridge, below: address, nested, at: path + [bridge.description])
        }
    }

    /// The configuration space's part, from the last scan where the device is still the same one.
    private mutating func capabilities(
        of address: PCIAddress, _ folder: borrowing Directory, _ reader: inout AttributeReader
    ) throws(Vanished) -> Remembered {
        var status = stat()
        guard fstat(folder.descriptor, &status) == 0 else { throw Vanished() }
        if let previous = previous[address], previous.inode == UInt64(status.st_ino) { return previous }
        var warnings: [ConfigWarning] = []
        let bytes = try reader.bytes("config", .config, folder)
        let config = ConfigSpace(bytes ?? [])
        let capabilities =
            bytes == nil && reader.attributes.contains(.config)
            ? FunctionCapabilities(unknown: .unreadable) : FunctionCapabilities(config, warnings: &warnings)
        let reading = shared(ConfigReading(config, capabilities: capabilities, warnings: warnings))
        return Remembered(inode: UInt64(status.st_ino), config: reading)
    }

    /// An earlier reading that says the same, if there is one among the last.
    private mutating func shared(_ reading: ConfigReading) -> ConfigReading {
        if let same = recentConfigs.last(where: { $0.says(the: reading) }) { return same }
        if recentConfigs.count >= 32 { recentConfigs.removeFirst() }
        recentConfigs.append(reading)
        return reading
    }

    /// The IDs as sysfs tells them (a VF's configuration space has none), and where it does not, the configuration
    /// space's own.
    private func identification(
        _ folder: borrowing Directory, _ reader: inout AttributeReader, _ config: PCIFunction.Identification
    ) throws(Vanished) -> PCIFunction.Identification {
        PCIFunction.Identification(
            vendorID: try reader.number("vendor", .vendor, folder) ?? config.vendorID,
            deviceID: try reader.number("device", .device, folder) ?? config.deviceID,
            subsystemVendorID: try reader.number("subsystem_vendor", .subsystemVendor, folder)
                ?? config.subsystemVendorID,
            subsystemDeviceID: try reader.number("subsystem_device", .subsystemDevice, folder)
                ?? config.subsystemDeviceID,
            revision: try reader.number("revision", .revision, folder) ?? config.revision,
            classCode: try reader.number("class", .classCode, folder).map { (value: UInt32) in
                ClassCode(rawValue: value)
            } ?? config.classCode)
    }

    /// What only the whole tree tells: the numbers of virtual functions, and bridges known by what sits behind them.
    mutating func finishFunctions() {
        var numbers: [PCIAddress: Int] = [:]
        var parents = Set<PCIAddress>()
        var unnumbered: [PCIAddress: [PCIAddress]] = [:]
        for device in devices {
            guard let function = device.pci else { continue }
            for (number, address) in function.virtualFunctions.enumerated() { numbers[address] = number }
            if let parent = function.parent { parents.insert(parent) }
            if let origin = function.virtualFunction?.physicalFunction, let address = device.address.pci {
                unnumbered[origin, default: []].append(address)
            }
        }
        for index in devices.indices {
            guard let before = devices[index].pci, let address = devices[index].address.pci else { continue }
            var function = before
            if let origin = function.virtualFunction?.physicalFunction {
                let siblings = unnumbered[origin, default: []].sorted()
                function.virtualFunction?.index = numbers[address] ?? siblings.firstIndex(of: address) ?? 0
            }
            if !function.isBridge, parents.contains(address), function.capabilities.header.isUnknown {
                function.isBridge = true
            }
            if function.virtualFunctions.isEmpty, let found = unnumbered[address] {
                function.virtualFunctions = found.sorted()
            }
            // Most are as they were, and writing one makes a new copy of it.
            if function != before { devices[index].kind = .pci(function) }
        }
    }
}

extension PCIFunction.Identification {
    /// The IDs in a configuration space; all ones (as in a VF) are none.
    init(_ config: ConfigSpace) {
        func word(_ offset: Int) -> UInt16? { config.word(offset).flatMap { $0 == 0xffff ? nil : $0 } }
        guard !config.isAllOnes, config.bytes.count >= 64 else {
            self.init()
            return
        }
        let isEndpoint = config.header.value?.layout == .endpoint
        self.init(
            vendorID: word(0x00), deviceID: word(0x02), subsystemVendorID: isEndpoint ? word(0x2c) : nil,
            subsystemDeviceID: isEndpoint ? word(0x2e) : nil, revision: config.byte(0x08),
            classCode: config.doubleWord(0x08).map { ClassCode(rawValue: $0 >> 8) })
    }
}
