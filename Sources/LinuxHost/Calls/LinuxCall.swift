// What a worker is told to do for a call of the seam: which file to write, which node to open, which ioctl to make.

import CLinux
import EventLoop
import Files
import Glibc
import Host
import Inventory

/// A call in the terms of CLinux.
@LoopActor
struct LinuxCall {
    /// What a call that succeeds gives back.
    enum Yield {
        case nothing, file, number, ranges
    }

    var kind: clinux_call_kind
    var yield = Yield.nothing
    var path: String?
    var text: String?
    var folder: String?
    /// The daemon's files that the worker gets copies of.
    var files: [KernelFile] = []
    var number: UInt32 = 0
    var permissions = NodePermissions(uid: 0, gid: 0, mode: 0)
    /// How long the worker waits for a node whose device is there already.
    var patience: Duration = .zero
    /// Whether the daemon lets go of the files when the call is made.
    var letsGo = false

    /// A call on a host.
    ///
    /// - Throws: `.system` with EINVAL when the name of a driver or a device could lead out of its folder.
    init(_ call: KernelCall, on host: LinuxHost) throws(HostError) {
        switch call {
        case .loadModule(let driver):
            let isSandboxed = host.root == "/" && clinux_may_load_modules() == 0
            try self.init(loading: driver, byManager: isSandboxed, on: host)
        case .setDriverOverride(let device, let driver):
            let value = try driver.map { (driver) throws(HostError) in try Self.checked(driver) } ?? ""
            try self.init(writing: value + "\n", to: "driver_override", of: device, on: host)
        case .unbind(let clearance, let driver):
            let device = clearance.device
            self.init(
                kind: CLINUX_CALL_WRITE,
                path: host.joined("sys/bus/\(try Self.checked(device).bus)/drivers/\(try Self.checked(driver))/unbind"),
                text: device.name)
        case .probe(let device):
            self.init(
                kind: CLINUX_CALL_WRITE, path: host.joined("sys/bus/\(try Self.checked(device).bus)/drivers_probe"),
                text: device.name)
        case .announce(let device): try self.init(writing: "add", to: "uevent", of: device, on: host)
        case .reset(let clearance): try self.init(writing: "1", to: "reset", of: clearance.device, on: host)
        case .setVirtualFunctions(let clearance, let count):
            try self.init(writing: String(count), to: "sriov_numvfs", of: clearance.device, on: host)
        case .setPowerControl(let device, let control):
            try self.init(writing: control.rawValue, to: "power/control", of: device, on: host)
        case .setD3coldAllowed(let device, let isAllowed):
            try self.init(writing: isAllowed ? "1" : "0", to: "d3cold_allowed", of: device, on: host)
        case .open(let node): try self.init(CLINUX_CALL_OPEN_NODE, yield: .file, node: node, on: host)
        case .setPermissions(let node, let permissions):
            try self.init(CLINUX_CALL_SET_PERMISSIONS, node: node, on: host)
            self.permissions = permissions
        case .setContainer(let group, let container):
            self.init(kind: CLINUX_CALL_SET_CONTAINER, files: [group, container])
        case .setIOMMU(let container): self.init(kind: CLINUX_CALL_SET_IOMMU, files: [container])
        case .getDevice(let device, let group):
            self.init(kind: CLINUX_CALL_GET_DEVICE, yield: .file, text: device.name, files: [group])
        case .bindIOMMUFD(let cdev, let iommufd):
            self.init(kind: CLINUX_CALL_BIND_IOMMUFD, files: [cdev, iommufd])
        case .allocateIOAS(let iommufd):
            self.init(kind: CLINUX_CALL_ALLOCATE_IOAS, yield: .number, files: [iommufd])
        case .attach(let cdev, let ioas): self.init(kind: CLINUX_CALL_ATTACH, files: [cdev], number: ioas)
        case .isBound(let cdev): self.init(kind: CLINUX_CALL_IS_BOUND, yield: .number, files: [cdev])
        case .hasContainer(let group): self.init(kind: CLINUX_CALL_HAS_CONTAINER, yield: .number, files: [group])
        case .detach(let cdev): self.init(kind: CLINUX_CALL_DETACH, files: [cdev])
        case .containerRanges(let container):
            self.init(kind: CLINUX_CALL_CONTAINER_RANGES, yield: .ranges, files: [container])
        case .ioasRanges(let iommufd, let ioas):
            self.init(kind: CLINUX_CALL_IOAS_RANGES, yield: .ranges, files: [iommufd], number: ioas)
        case .close(let file): self.init(kind: CLINUX_CALL_CLOSE, files: [file], letsGo: true)
        }
    }

    init(
        kind: clinux_call_kind, yield: Yield = .nothing, path: String? = nil, text: String? = nil,
        folder: String? = nil, files: [KernelFile] = [], number: UInt32 = 0, letsGo: Bool = false
    ) {
        self.kind = kind
        self.yield = yield
        self.path = path
        self.text = text
        self.folder = folder
        self.files = files
        self.number = number
        self.letsGo = letsGo
    }

    /// - Parameters:
    ///   - driver: the driver whose module is loaded.
    ///   - byManager: whether systemd does it, in the unit that it has for a module.
    ///   - host: the host.
    /// - Throws: `.system` where the call cannot be made.
    init(loading driver: String, byManager: Bool, on host: LinuxHost) throws(HostError) {
        let name = try Self.checked(driver)
        let buses = (try? Directory(path: host.joined("sys/bus")).names()) ?? []
        let loaded = buses.map { host.joined("sys/bus/\($0)/drivers/\(name)") }.first { access($0, F_OK) == 0 }
        if byManager {
            // In the name of a unit `-` would stand for `/`; for modprobe the two are the same.
            let module = String(name.map { $0 == "-" ? "_" : $0 })
            guard module.utf8.allSatisfy(Self.isPlain) else {
                throw .system(call: "the name \"\(name)\"", errno: EINVAL)
            }
            self.init(
                kind: CLINUX_CALL_START_MODPROBE, path: host.joined("usr/bin/systemctl"),
                text: "modprobe@\(module).service", folder: loaded ?? host.joined("sys/module/\(module)"))
        } else {
            self.init(
                kind: CLINUX_CALL_MODPROBE, path: host.joined("sbin/modprobe"), text: name,
                folder: loaded ?? host.joined("sys/bus/pci/drivers/\(name)"))
        }
    }

    /// Whether a byte means itself in the name of a unit.
    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private init(
        writing text: String, to attribute: String, of device: DeviceAddress, on host: LinuxHost
    ) throws(HostError) {
        self.init(
            kind: CLINUX_CALL_WRITE, path: host.folder(of: try Self.checked(device)) + "/" + attribute, text: text)
    }

    private init(
        _ kind: clinux_call_kind, yield: Yield = .nothing, node: VFIONode, on host: LinuxHost
    ) throws(HostError) {
        // A static node of kmod may be there before its module is.
        let loads = kind == CLINUX_CALL_OPEN_NODE && (node == .container || node == .iommufd)
        self.init(kind: loads ? CLINUX_CALL_OPEN_LOADING_NODE : kind, yield: yield)
        patience = host.nodePatience
        switch node {
        case .group(let number):
            path = host.joined("dev/vfio/\(number)")
            text = host.joined("sys/class/vfio/\(number)/dev")
        case .container:
            path = host.joined("dev/vfio/vfio")
            text = host.joined("sys/class/misc/vfio/dev")
        case .iommufd:
            path = host.joined("dev/iommu")
            text = host.joined("sys/class/misc/iommu/dev")
        case .cdev(let device):
            path = host.joined("dev/vfio/devices")
            folder = host.folder(of: try Self.checked(device)) + "/vfio-dev"
        }
    }

    /// The name, if it is the name of one folder.
    private static func checked(_ name: String) throws(HostError) -> String {
        let isBad = name.isEmpty || name.utf8.contains { $0 == UInt8(ascii: "/") || $0 < 0x20 } || name.hasPrefix(".")
        if isBad { throw .system(call: "the name \"\(name)\"", errno: EINVAL) }
        return name
    }

    private static func checked(_ device: DeviceAddress) throws(HostError) -> DeviceAddress {
        _ = try checked(device.bus)
        _ = try checked(device.name)
        return device
    }

    /// Forks the worker: its pid, and the socket that it waits on.
    func start() throws(HostError) -> (pid: Int32, socket: Int32) {
        let numbers = files.map(\.number) + [-1, -1]
        var socket: Int32 = -1
        let pid = Self.withText(path) { path in
            Self.withText(text) { text in
                Self.withText(folder) { folder in
                    var call = clinux_call(
                        kind: kind, files: (numbers[0], numbers[1]), number: number,
                        patience: UInt32(clamping: Int64(patience / .milliseconds(1))), owner: permissions.uid,
                        group: permissions.gid, mode: UInt32(permissions.mode), path: path, text: text, folder: folder)
                    return clinux_start_call(&call, &socket)
                }
            }
        }
        guard pid > 0 else { throw .system(call: "fork", errno: -pid) }
        return (pid, socket)
    }

    private static func withText<Result>(
        _ text: String?, _ body: (UnsafePointer<CChar>?) -> Result
    ) -> Result {
        guard let text else { return body(nil) }
        return text.withCString { body($0) }
    }
}
