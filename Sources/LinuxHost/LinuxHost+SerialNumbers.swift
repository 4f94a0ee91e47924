// Serial numbers, which an inventory does not have: they are read when somebody asks for them. The one in the vital
// product data (`vpd`) is left alone: reading it takes up to seconds a device.

import EventLoop
import Files
import Inventory
import PCI

extension LinuxHost {
    public func serialNumbers(of devices: [DeviceAddress]) async -> [DeviceAddress: String] {
        var numbers: [DeviceAddress: String] = [:]
        for device in devices where device.pci != nil {
            guard let folder = try? Directory(path: folder(of: device)),
                let config = try? folder.read("config", { ConfigSpace(Array($0)) })
            else { continue }
            numbers[device] = config.serialNumber
            await EventLoop.main.yield()
        }
        return numbers
    }
}
