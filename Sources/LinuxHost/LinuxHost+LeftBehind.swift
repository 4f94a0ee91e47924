// Files that an earlier daemon left: what they are open on is told by their device numbers, which nothing else has as
// long as they are open.

import EventLoop
import Files
import Glibc
import Host
import Inventory
import PCI

extension LinuxHost {
    public func recognizes(_ file: KernelFile, as node: VFIONode) -> Bool {
        guard let number = NodeNumber(ofFile: file), let classes = try? Directory(path: joined("sys/class")) else {
            return false
        }
        func isNumber(_ attribute: String) -> Bool {
            (try? classes.text(attribute)).flatMap { NodeNumber($0) } == number
        }
        switch node {
        case .iommufd: return isNumber("misc/iommu/dev")
        case .container: return isNumber("misc/vfio/dev")
        case .group(let group): return isNumber("vfio/\(group)/dev")
        case .cdev(let device):
            if let owner = currentCdevs()[number] {
                guard owner == device.name else { return false }
            } else {
                // What sysfs tells of a cdev goes when its unbind begins, and the unbind waits for this very file.
                guard let proc = try? Directory(path: joined("proc")),
                    characterDrivers(in: (try? proc.readAll("devices")) ?? [])["vfio-dev"] == number.major
                else { return false }
            }
            cdevs[number] = device
            return true
        }
    }

    public func hasOpen(_ files: [KernelFile], in pid: Int32) async throws(HostError) -> Bool {
        let numbers = Set(files.compactMap { NodeNumber(ofFile: $0) })
        return numbers.isEmpty ? false : try await OpenNodes.has(numbers, in: pid, below: root)
    }
}

extension NodeNumber {
    /// What a file is open on; nil for what is no device.
    @LoopActor
    fileprivate init?(ofFile file: KernelFile) {
        var status = stat()
        guard file.isOpen, fstat(file.number, &status) == 0 else { return nil }
        self.init(status)
    }
}
