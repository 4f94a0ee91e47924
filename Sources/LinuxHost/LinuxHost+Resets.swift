// How the kernel can reset a device: `reset_method` since 5.15 (Documentation/ABI/testing/sysfs-bus-pci). It is read when
// it is asked for: an administrator may write it at any time, and nothing announces that.

import Files
import Glibc
import Inventory
import PCI

extension LinuxHost {
    public func resetMethods(of device: DeviceAddress) -> [String]? {
        guard let address = device.pci, let folder = try? Directory(path: folder(of: .pci(address))) else { return nil }
        do throws(SystemError) {
            return try folder.text("reset_method").split(separator: " ").map { String($0) }
        } catch {
            // A device without any method has no such file (pci_dev_reset_method_attr_is_visible); neither has any
            // device of an older kernel, which shows `reset` alone.
            guard error.isVanished, kernelRelease().map({ ($0.major, $0.minor) >= (5, 15) }) ?? false else {
                return nil
            }
            return folder.has("vendor") ? [] : nil
        }
    }
}
