// Who else has devices open through vfio. What sysfs tells of a device's node is gone as soon as its unbind begins, while
// the unbind waits for who has it open; so the numbers are remembered.

import Files
import Glibc
import Host
import Inventory
import PCI

extension LinuxHost {
    public func holders(of devices: [DeviceAddress]) async -> [DeviceHolder] {
        guard isWritable else { return [] }
        var owners: [NodeNumber: [DeviceAddress]] = [:]
        var paths: [[String]: DeviceAddress] = [:]
        for device in devices {
            rememberCdev(of: device)
            if let number = groupNode(of: device) { owners[number, default: []].append(device) }
            if let path = sysfsPath(of: device) { paths[path.components] = device }
        }
        let current = currentCdevs()
        for (number, device) in cdevs where devices.contains(device) {
            // The number may have become another device's: nobody has the first one open then.
            if let owner = current[number], owner != device.name { continue }
            owners[number, default: []].append(device)
        }
        let open = await OpenNodes(of: Set(owners.keys), below: root)
        return open.holders.flatMap { holder in
            let held = Set(holder.nodes.flatMap { owners[$0] ?? [] } + holder.vfioDevices.compactMap { paths[$0] })
            return held.sorted().map { DeviceHolder($0, process: holder.process) }
        }
    }

    /// Notes the number of the device's cdev, if it has one.
    func rememberCdev(of device: DeviceAddress) {
        guard let entries = try? Directory(path: folder(of: device) + "/vfio-dev") else { return }
        for name in (try? entries.names()) ?? [] {
            guard let text = try? entries.text("\(name)/dev"), let number = NodeNumber(text) else { continue }
            cdevs[number] = device
        }
    }

    /// The cdevs that sysfs shows, and the names of the devices whose they are.
    func currentCdevs() -> [NodeNumber: String] {
        var found: [NodeNumber: String] = [:]
        guard let entries = try? Directory(path: joined("sys/class/vfio-dev")) else { return found }
        for name in (try? entries.names()) ?? [] {
            guard let target = try? entries.link(name), let text = try? entries.text("\(name)/dev"),
                let number = NodeNumber(text),
                // DEVICE/vfio-dev/vfioN
                let device = SysfsPath(target: target, from: ["class", "vfio-dev"])?.components.dropLast(2).last
            else { continue }
            found[number] = device
        }
        return found
    }

    private func groupNode(of device: DeviceAddress) -> NodeNumber? {
        guard let folder = try? Directory(path: folder(of: device)),
            let group = try? folder.linkName("iommu_group"), let classes = try? Directory(path: joined("sys/class")),
            let text = try? classes.text("vfio/\(group)/dev")
        else { return nil }
        return NodeNumber(text)
    }

    /// Where a device's folder lies.
    func sysfsPath(of device: DeviceAddress) -> SysfsPath? {
        guard let bus = try? Directory(path: joined("sys/bus/\(device.bus)/devices")),
            let target = try? bus.link(device.name)
        else { return nil }
        return SysfsPath(target: target, from: ["bus", device.bus, "devices"])
    }
}
