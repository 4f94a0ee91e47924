// What a host does with its own devices. Taking one that is in use is how a host is lost.

import Inventory
import PCI

/// A device that the host itself uses.
public struct DeviceUse: Equatable, Sendable {
    /// How it is used, with what is known of that kind of use. What follows of a kind is in DeviceUse+Rules.swift.
    public enum Kind: Equatable, Sendable {
        /// A file system on it is mounted, perhaps through devices that stack on it: `via` is the block device that is
        /// mounted, such as dm-0.
        case mounted(at: String, via: String)
        /// It is swapped to.
        case swap(via: String)
        /// Something that is not known to be mounted stacks on it: device-mapper, md.
        case stacked(holder: String)
        /// This interface of it, or one that stands on it, is up and has an address that more than the link can reach.
        case address(String, interface: String)
        /// A route of the host leads through this interface of it: to `default`, or to addresses.
        case route(to: String, interface: String)
        /// This interface of it is a port of another: a bond, a bridge, a team, a VRF, Open vSwitch.
        case port(interface: String, of: String)
        /// Another interface stands on this one of it: a VLAN, a macvlan, a software RDMA device.
        case upper(interface: String, upper: String)
        /// It has an interface, which is in another network namespace: somebody gave it to a container.
        case otherNetwork
        /// Something comes over this interface, or port, that is read and written: a network file system, iSCSI, NVMe over
        /// Fabrics.
        case remoteStorage(String, interface: String)
        /// This interface of it, of IP over InfiniBand, is up.
        case ipOverInfiniBand(interface: String)
        /// It keeps this session of iSCSI itself.
        case iSCSISession(String, target: String?)
        /// This Fibre Channel port of it has logged in to so many targets, of which nothing is known to be used.
        case fibreChannel(port: String, targets: Int)
        /// It has this vDPA device, which goes with its driver.
        case vDPA(String, driver: String?)
        /// This interface of it is up, and nothing is known to go through it.
        case linkUp(interface: String)
        /// The firmware showed its messages on it (boot_vga), or the console is on it.
        case bootDisplay
        /// A process has one of its nodes open.
        case open(pid: Int32, command: String)
        /// It has so many virtual functions, which go when its host driver does.
        case virtualFunctions(count: Int)
        /// A claim has the physical function that it comes from.
        case physicalFunctionClaimed(PCIAddress, claim: String)
        /// It is another device than the one that sat in its place in the last boot: whoever means that one would get this.
        case replaced(before: String, now: String)
        /// Whether it is used could not be found out; why, in words.
        case unknown(reason: String)
    }

    /// The device that would be taken.
    public var device: DeviceAddress
    public var kind: Kind

    public init(_ device: DeviceAddress, _ kind: Kind) {
        self.device = device
        self.kind = kind
    }
}

extension DeviceUse {
    /// The use in words.
    public var reason: String {
        switch kind {
        case .mounted(let path, let via): "\(via) on it is mounted at \(path)"
        case .swap(let via): "\(via) on it is swapped to"
        case .stacked(let holder): "\(holder) stacks on it"
        case .route("default", let interface): "the default route leads through its interface \(interface)"
        case .route(let destination, let interface):
            "the route to \(destination) leads through its interface \(interface)"
        case .address(let address, let interface): "its interface \(interface) is up and has the address \(address)"
        case .port(let interface, let master): "its interface \(interface) is a port of \(master)"
        case .upper(let interface, let upper): "\(upper) stands on its interface \(interface)"
        case .otherNetwork: "its network interface is in another network namespace, where a container may use it"
        case .remoteStorage(let storage, let interface): "\(storage) comes over its \(interface)"
        case .ipOverInfiniBand(let interface): "its interface \(interface), of IP over InfiniBand, is up"
        case .iSCSISession(let session, let target):
            "it keeps the iSCSI \(session)" + (target.map { " with \($0)" } ?? "")
        case .fibreChannel(let port, let targets):
            "its Fibre Channel port \(port) has logged in to \(targets) target\(targets == 1 ? "" : "s")"
        case .vDPA(let name, let driver):
            "its vDPA device \(name)\(driver.map { " (\($0))" } ?? "") goes with its driver"
        case .linkUp(let interface): "its interface \(interface) is up, with no more than a link-local address"
        case .bootDisplay: "the host's console is on it"
        case .open(let pid, let command): "process \(pid) (\(command)) has it open"
        case .virtualFunctions(let count):
            "it has \(count) virtual function\(count == 1 ? "" : "s"), which go with its host driver"
        case .physicalFunctionClaimed(let physical, let claim):
            "the physical function \(physical) that it comes from is in \(claim)"
        case .replaced(let before, let now):
            "it is another device than in the last boot: \(now) now, \(before) then"
        case .unknown(let reason): "whether the host uses it is not known: \(reason)"
        }
    }
}

/// A process that has a device of a group open through vfio.
public struct DeviceHolder: Equatable, Sendable {
    public var device: DeviceAddress
    /// nil where it is not known.
    public var process: ProcessIdentity?

    public init(_ device: DeviceAddress, process: ProcessIdentity?) {
        self.device = device
        self.process = process
    }
}
