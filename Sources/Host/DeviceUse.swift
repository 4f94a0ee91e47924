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
        /// It is a part of a file system that has other parts elsewhere: its log, its journal. `of` says which.
        case part(role: String, of: String, via: String)
        /// The kernel has a file system on it in use, and no process is known to see it mounted.
        case fileSystem(type: String, via: String)
        /// The kernel offers it to other machines: `by` says what does, and under which name.
        case exported(by: String, via: String)
        /// It belongs to a volume group that is active, and no volume is known to lie on it.
        case volumeGroup(String, via: String)
        /// It is one of several paths to a disk that is used; `others` are those that would remain.
        case path(to: String, others: [String])
        /// Its disk is the same as another, which is used: `use` says how.
        case sameDisk(as: String, use: String, via: String)
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
        /// A process draws or computes with it: it has these nodes of a graphics driver open, such as card0.
        case graphicsClient(pid: Int32, command: String, nodes: String)
        /// A process has NVIDIA's control node open, and no card's.
        case nvidiaControl(pid: Int32, command: String)
        /// The console is on it through nvidia-drm; the driver's version where it is known.
        case nvidiaConsole(version: String?)
        // Compute, memory
        /// A process has memory or queues of it through ROCm.
        case computing(pid: Int32, command: String)
        /// It has so many mediated devices, which go when its host driver does.
        case mediatedDevices(count: Int)
        /// So many blocks of the host's memory are on it: the name of its region, or of its DAX device.
        case memoryOnline(region: String, blocks: Int)
        /// What SEV guests there are, whose keys it has: in words.
        case secureGuests(who: String)
        // Sound, input, console
        /// Sound runs through it: the stream, such as pcm0p.
        case sound(stream: String)
        /// A process has no more of it open than sound cards and input devices, which may go at any time.
        case attended(pid: Int32, command: String, what: String)
        /// The kernel writes its messages to this terminal on it.
        case kernelConsole(terminal: String)
        /// The only keyboard beside those of other devices that are asked for hangs on it; its name.
        case onlyKeyboard(name: String)
        // Chipset
        /// This watchdog of it runs, and resets the machine when nobody feeds it any more.
        case watchdog(name: String)
        /// This device hangs on it through Thunderbolt or USB4.
        case routed(device: String)
        /// It is a function of the chipset, and was asked for; which one, in words.
        case chipset(what: String)
        /// It is a function of the chipset, and comes along with what was asked for.
        case chipsetAlong(what: String)
        // Processes, claims, and what is not known
        /// Its configuration space reads as all ones.
        case silent
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
        case .part(let role, let whole, let via): "\(via) on it is the \(role) of \(whole)"
        case .fileSystem(let type, let via):
            "the \(type) file system of \(via) on it is in use, though no process is known to see it mounted"
        case .exported(let exporter, let via): "\(via) on it is exported by \(exporter)"
        case .volumeGroup(let group, let via): "\(via) on it belongs to the volume group \(group), which is active"
        case .path(let disk, let others):
            "it is one of \(others.count + 1) paths to \(disk), which would be left with "
                + others.joined(separator: " and ")
        case .sameDisk(let other, let use, let via): "\(via) on it is the same disk as \(other), which \(use)"
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
        case .graphicsClient(let pid, let command, let nodes): "process \(pid) (\(command)) has \(nodes) of it open"
        case .nvidiaControl(let pid, let command):
            "process \(pid) (\(command)) has /dev/nvidiactl open, and may come to use it"
        case .nvidiaConsole(let version):
            "the console is on it through nvidia-drm, and NVIDIA's driver\(version.map { " \($0)" } ?? "") may never "
                + "let go of a card that is in use: the unbind would not return before the next boot"
        // Compute, memory
        case .computing(let pid, let command): "process \(pid) (\(command)) computes on it through /dev/kfd"
        case .mediatedDevices(let count):
            "it has \(count) mediated device\(count == 1 ? ", which goes" : "s, which go") with its host driver"
        case .memoryOnline(let region, let blocks):
            "memory of the host is on it: \(blocks) block\(blocks == 1 ? "" : "s") of \(region) "
                + "\(blocks == 1 ? "is" : "are") online"
        case .secureGuests(let who): "it keeps the keys of SEV guests: \(who)"
        // Sound, input, console
        case .sound(let stream): "sound runs through its \(stream)"
        case .attended(let pid, let command, let what): "process \(pid) (\(command)) has \(what) on it open"
        case .kernelConsole(let terminal): "the kernel writes its messages to \(terminal) on it"
        case .onlyKeyboard(let name): "the only keyboard of the host's console hangs on it: \(name)"
        // Chipset
        case .watchdog(let name): "its \(name) runs, and resets the machine when nobody feeds it"
        case .routed(let device): "\(device) hangs on it, and what is connected through that goes with its host driver"
        case .chipset(let what): "it is \(what), a part of the machine itself"
        case .chipsetAlong(let what): "it is \(what), a part of the machine itself, and comes along with its group"
        // Processes, claims, and what is not known
        case .silent: "it answers nothing but ones: it has fallen off its bus, or has no power"
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
