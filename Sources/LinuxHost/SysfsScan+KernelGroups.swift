// Reading /sys/kernel/iommu_groups, and the devices of other buses through it: every device in a group is listed there.

import Files
import Glibc
import Inventory
import PCI

extension SysfsScan {
    mutating func scanKernelGroups(_ sys: borrowing Directory) {
        var listed: [DeviceAddress: Int] = [:]
        if let folder = try? Directory("kernel/iommu_groups", below: sys) {
            for number in ((try? folder.names()) ?? []).compactMap(decimal).sorted() {
                scanKernelGroup(number, folder, sys, &listed)
            }
        }
        var known = Set(kernelGroups.map(\.number))
        for index in devices.indices {
            let address = devices[index].address
            if let fromLink = devices[index].kernelGroup {
                if let fromList = listed[address], fromList != fromLink {
                    warn(
                        "its iommu_group link says \(fromLink), but kernel group \(fromList) lists it; the link is taken",
                        device: address)
                }
                if known.insert(fromLink).inserted { kernelGroups.append(KernelGroup(number: fromLink)) }
            } else {
                devices[index].kernelGroup = listed[address]
            }
        }
    }

    private mutating func scanKernelGroup(
        _ number: Int, _ groups: borrowing Directory, _ sys: borrowing Directory, _ listed: inout [DeviceAddress: Int]
    ) {
        guard let folder = try? Directory(String(number), below: groups) else { return }
        var group = KernelGroup(number: number)
        group.name = (try? folder.text("name")).flatMap { $0.isEmpty ? nil : $0 }
        group.type = (try? folder.text("type")).flatMap { $0.isEmpty ? nil : $0 }
        let regions = reservedRegions((try? folder.text("reserved_regions")) ?? "", of: number)
        // Groups behind one IOMMU have the same, and share them.
        group.reservedRegions =
            kernelGroups.last.flatMap { $0.reservedRegions == regions ? $0.reservedRegions : nil } ?? regions
        kernelGroups.append(group)
        guard let members = try? Directory("devices", below: folder) else { return }
        for name in (try? members.names()) ?? [] {
            let link = try? members.link(name)
            // Two devices of one name get a suffix in the list (iommu_group_alloc_device), so the target has the name.
            let deviceName =
                link.flatMap { $0.utf8.split(separator: UInt8(ascii: "/")).last }.map { String(Substring($0)) } ?? name
            let address = PCIAddress(deviceName)
            if let address {
                listed[.pci(address)] = number
                guard !seen.contains(.pci(address)) else { continue }
            }
            let target = link.flatMap {
                SysfsPath(target: $0, from: ["kernel", "iommu_groups", String(number), "devices"])
            }
            if let address {
                seen.insert(.pci(address))
                addUnreadableFunction(address, target, inKernelGroup: number)
            } else {
                scanOtherDevice(deviceName, at: target?.components, inKernelGroup: number, sys)
            }
        }
    }

    /// A function that only the kernel's list of a group names: it counts as a member, with everything unknown.
    private mutating func addUnreadableFunction(_ address: PCIAddress, _ path: SysfsPath?, inKernelGroup number: Int) {
        let above = path?.components.dropLast() ?? []
        let id =
            above.lazy.compactMap { HostBridgeID($0) }.last ?? HostBridgeID(domain: address.domain, bus: address.bus)
        let function = PCIFunction(
            hostBridge: id, parent: above.last.flatMap { PCIAddress($0) }, identification: .init(),
            capabilities: FunctionCapabilities(unknown: .noConfig), isBridge: false)
        devices.append(
            Device(
                address: .pci(address), kind: .pci(function), driverOverride: .unknown(.unreadable),
                kernelGroup: number))
        if hostBridges[id] == nil { hostBridges[id] = HostBridge(id: id) }
        warn("kernel group \(number) lists it, but its folder was not found", device: .pci(address))
    }

    private mutating func reservedRegions(_ text: String, of group: Int) -> [ReservedRegion] {
        // By bytes: what white space is among all characters is a long question.
        text.split(separator: "\n").compactMap { line in
            let words = line.utf8.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.map { Substring($0) }
            guard words.count == 3, let start = address(words[0]), let last = address(words[1]), start <= last else {
                warn("kernel group \(group): the line \"\(line.prefix(80))\" of reserved_regions cannot be read")
                return nil
            }
            return ReservedRegion(start: start, last: last, kind: .init(words[2]))
        }
    }

    private func address(_ word: Substring) -> UInt64? {
        unsignedInteger((word.hasPrefix("0x") ? word.dropFirst(2) : word).utf8, radix: 16)
    }
}
