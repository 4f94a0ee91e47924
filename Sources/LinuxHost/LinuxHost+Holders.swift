// Who else has devices open through vfio. What sysfs tells of a device's node is gone as soon as its unbind begins, while
// the unbind waits for who has it open; so the numbers are remembered.

import Files
import Glibc
import Host
import Inventory
import PCI

extension LinuxHost {
    public func holders(of devices: [DeviceAddress]) async throws(HostError) -> [DeviceHolder] {
        guard isWritable else { return [] }
        var owners: [NodeNumber: [DeviceAddress]] = [:]
        var paths: [[String]: DeviceAddress] = [:]
        let current: [NodeNumber: String]
        do throws(SystemError) {
            for device in devices {
                try noteCdev(of: device)
                if let number = try groupNode(of: device) { owners[number, default: []].append(device) }
                if let path = try sysfsPath(of: device) { paths[path.components] = device }
            }
            current = currentCdevs()
        } catch { throw .system(call: "look for the nodes of devices", errno: error.errno) }
        for (number, device) in cdevs where devices.contains(device) {
            // The number may have become another device's: nobody has the first one open then.
            if let owner = current[number], owner != device.name { continue }
            owners[number, default: []].append(device)
        }
        let open = try await OpenNodes(of: Set(owners.keys), below: root)
        return open.holders.flatMap { holder in
            let held = Set(holder.nodes.flatMap { owners[$0] ?? [] } + holder.vfioDevices.compactMap { paths[$0] })
            return held.sorted().map { DeviceHolder($0, process: holder.process) }
        }
    }

    /// Notes the number of the device's cdev, if it has one.
    func rememberCdev(of device: DeviceAddress) { try? noteCdev(of: device) }

    /// The same where what is not noted would be missed.
    private func noteCdev(of device: DeviceAddress) throws(SystemError) {
        let numbers = try unlessShort { () throws(SystemError) in
            let entries = try Directory(path: folder(of: device) + "/vfio-dev")
            var numbers: [NodeNumber] = []
            for name in try entries.names() {
                if let number = NodeNumber(try entries.text("\(name)/dev")) { numbers.append(number) }
            }
            return numbers
        }
        for number in numbers ?? [] { cdevs[number] = device }
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

    private func groupNode(of device: DeviceAddress) throws(SystemError) -> NodeNumber? {
        try unlessShort { () throws(SystemError) in
            let group = try Directory(path: folder(of: device)).linkName("iommu_group")
            return NodeNumber(try Directory(path: joined("sys/class")).text("vfio/\(group)/dev"))
        } ?? nil
    }

    /// Where a device's folder lies; nil for a device that is not there.
    ///
    /// - Throws: that descriptors or memory lack.
    func sysfsPath(of device: DeviceAddress) throws(SystemError) -> SysfsPath? {
        try unlessShort { () throws(SystemError) in
            let target = try Directory(path: joined("sys/bus/\(device.bus)/devices")).link(device.name)
            return SysfsPath(target: target, from: ["bus", device.bus, "devices"])
        } ?? nil
    }
}

/// What is read; nil for what is not there or cannot be read, whoever asks.
///
/// - Throws: that descriptors or memory lack: what is not seen then may be there.
func unlessShort<Value>(_ body: () throws(SystemError) -> Value) throws(SystemError) -> Value? {
    do throws(SystemError) { return try body() } catch {
        if error.isShortage { throw error }
        return nil
    }
}
