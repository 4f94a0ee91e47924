// Open files of vfio and iommufd: descriptors may be copied and passed on, what they own ends with the last copy.

import Inventory
import PCI

extension SimulatedKernel {
    /// An open file. Its copies in other processes are the same file.
    public struct File: Hashable, Sendable, CustomStringConvertible {
        let number: Int
        public var description: String { "file \(number)" }
    }

    /// What a file is.
    enum OpenKind: Equatable, Sendable {
        case group(Int, DeviceNumber)
        case container(hasIOMMU: Bool)
        /// From GET_DEVICE_FD of this group file, which it keeps.
        case device(DeviceAddress, group: File)
        case cdev(DeviceAddress, CdevState)
        case iommufd
    }

    enum CdevState: Equatable, Sendable {
        case opened
        /// To an iommufd, and attached to one of its address spaces.
        case bound(to: File, ioas: UInt32?)
    }

    /// A file and how often it is referred to: by descriptors and by other files.
    struct OpenFile: Equatable, Sendable {
        var kind: OpenKind
        var references = 1
        var descriptors = 1
    }

    mutating func open(_ kind: OpenKind) -> File {
        let file = File(number: nextNumber())
        files[file] = OpenFile(kind: kind)
        return file
    }

    /// Whether a descriptor of it is open somewhere.
    public func isOpen(_ file: File) -> Bool { files[file].map { $0.descriptors > 0 } ?? false }

    /// What an open descriptor is of; a file without one may live on, because other files keep it.
    func kind(_ file: File) -> OpenKind? { isOpen(file) ? files[file]?.kind : nil }

    /// A copy of a descriptor: dup, fork, or SCM_RIGHTS.
    public mutating func copy(_ file: File) throws(Refusal) {
        guard isOpen(file) else { throw .failed(.ebadf) }
        files[file]?.descriptors += 1
        files[file]?.references += 1
    }

    /// Closes one copy, as the end of the process that has it does. A holder's last close lets a blocked unbind go on.
    public mutating func close(_ file: File) throws(Refusal) {
        guard isOpen(file) else { throw .failed(.ebadf) }
        if let refusal = refusalToClose(file) { throw refusal }
        closeWhateverHappens(file)
    }

    /// The devices whose faults meet calls on a file.
    func devicesBehind(_ kind: OpenKind) -> [DeviceAddress] {
        switch kind {
        case .group(let number, _): members(ofGroup: number)
        case .device(let address, _), .cdev(let address, _): [address]
        case .container, .iommufd: []
        }
    }

    /// Whether a file has its device enabled: a bound cdev, or a device's descriptor from its group.
    func hasOpened(_ file: File) -> Bool {
        switch kind(file) {
        case .device?, .cdev(_, .bound)?: true
        default: false
        }
    }

    mutating func dropReference(_ file: File) {
        guard let state = files[file] else { return }
        guard state.references == 1 else {
            files[file]?.references -= 1
            return
        }
        files[file] = nil
        switch state.kind {
        case .group(let number, let deviceNumber):
            guard groups[number]?.vfio == deviceNumber, groups[number]?.opener == file else { return }
            leaveContainer(number)
            groups[number]?.opener = nil
        case .device(_, let group): dropReference(group)
        case .cdev(let address, .bound(let iommufd, _)):
            disown(address, iommufd)
            dropReference(iommufd)
        case .cdev, .container, .iommufd: break
        }
    }

    /// The files that keep a device from leaving, those that REQ reaches first.
    func holders(of address: DeviceAddress) -> (asked: Int, unasked: Int) {
        var holders = (asked: 0, unasked: 0)
        for file in files.values {
            switch file.kind {
            case .device(address, _), .cdev(address, .bound): holders.asked += 1
            case .cdev(address, .opened): holders.unasked += 1
            default: break
            }
        }
        return holders
    }

    func hasHolders(_ address: DeviceAddress) -> Bool { holders(of: address) != (0, 0) }

    mutating func request(_ address: DeviceAddress) {
        if holders(of: address).asked > 0 { devices[address]?.requests += 1 }
    }
}
