// What follows of each kind of use: one line a kind, and nowhere else.

extension DeviceUse {
    /// What a use means for a claim.
    public enum Severity: String, Equatable, Sendable, CaseIterable {
        /// The host, or somebody on it, would lose what it works with: refused, unless the member is forced.
        case refuses
        /// Worth knowing, and no reason to refuse.
        case warns
        /// It could not be found out whether the host uses the device, which refuses as well.
        case unknown

        /// Whether a claim is refused that does not force the member.
        public var stopsClaim: Bool { self != .warns }
    }

    /// What follows of a kind of use.
    public struct Rule: Equatable, Sendable {
        /// The kind's name in the API.
        public var word: String
        public var severity: Severity
        /// What the administrator can do, in words.
        public var remedy: String
        /// Where it can be read that this is a use and what taking the device does: a file of the kernel's source, a
        /// page of its documentation, a public report.
        public var source: String

        init(_ word: String, _ severity: Severity, _ remedy: String, _ source: String) {
            self.word = word
            self.severity = severity
            self.remedy = remedy
            self.source = source
        }
    }

    /// What follows of this use.
    public var rule: Rule { kind.rule }
    /// Whether it refuses a claim that does not force the member.
    public var stopsClaim: Bool { rule.severity.stopsClaim }
}

extension DeviceUse.Kind {
    /// The table: the word in the API, the severity, the remedy, the source.
    public var rule: DeviceUse.Rule {
        switch self {
        // Disks
        case .mounted: .init("mounted", .refuses, "unmount it", "fs/proc_namespace.c")
        case .swap: .init("swap", .refuses, "swapoff it", "mm/swapfile.c")
        case .stacked: .init("stacked", .refuses, "stop what stacks on it", "block/holder.c")
        case .part: .init("part", .refuses, "unmount that file system", "fs/xfs/xfs_super.c, fs/jbd2/journal.c")
        case .fileSystem:
            .init("fileSystem", .refuses, "end what keeps it: open files, or a mount namespace", "fs/ext4/sysfs.c")
        case .exported: .init("exported", .refuses, "take back the export", "drivers/nvme/target/configfs.c")
        case .volumeGroup:
            .init("volumeGroup", .refuses, "deactivate the group, or take the volume out (vgreduce)", "lvm(8)")
        case .path: .init("path", .refuses, "stop the use of the disk", "drivers/nvme/host/multipath.c")
        case .sameDisk: .init("sameDisk", .refuses, "stop the use of the disk", "drivers/nvme/host/sysfs.c")
        // Network
        case .address: .init("address", .refuses, "take the address away, or set the interface down", "net/core/dev.c")
        case .route: .init("route", .refuses, "move the route to another interface", "net/ipv4/fib_semantics.c")
        case .port: .init("port", .refuses, "take the interface out (ip link set ... nomaster)", "net/core/dev.c")
        case .upper: .init("upper", .refuses, "delete the interface that stands on it", "net/core/dev.c")
        case .otherNetwork: .init("otherNetwork", .refuses, "end the container that has it", "net/core/net-sysfs.c")
        case .remoteStorage: .init("remoteStorage", .refuses, "unmount or disconnect it", "drivers/nvme/host/fabrics.c")
        case .ipOverInfiniBand: .init("ipoib", .refuses, "set the interface down", "drivers/infiniband/ulp/ipoib")
        case .iSCSISession:
            .init("iscsi", .refuses, "log out (iscsiadm --logout)", "drivers/scsi/scsi_transport_iscsi.c")
        case .fibreChannel:
            .init("fibreChannel", .warns, "see who needs the targets", "drivers/scsi/scsi_transport_fc.c")
        case .vDPA: .init("vdpa", .warns, "delete it (vdpa dev del), if nobody needs it", "drivers/vdpa/vdpa.c")
        case .linkUp: .init("linkUp", .warns, "set the interface down, if nobody needs it", "net/ipv6/addrconf.c")
        // Displays
        case .bootDisplay: .init("bootDisplay", .refuses, "move the console to another display", "drivers/pci/vgaarb.c")
        case .graphicsClient: .init("graphicsClient", .refuses, "end the process", "drivers/gpu/drm/drm_file.c")
        case .nvidiaControl: .init("nvidiaControl", .warns, "end the process, if the unbind waits", "nvidia/nv.c")
        case .nvidiaConsole: .init("nvidiaConsole", .refuses, "boot with nvidia_drm.fbdev=0", "nvidia/nv-pci.c")
        // Compute, memory
        case .computing: .init("computing", .refuses, "end the process", "drivers/gpu/drm/amd/amdkfd/kfd_process.c")
        case .mediatedDevices: .init("mediatedDevices", .refuses, "remove them (UUID/remove)", "drivers/vfio/mdev")
        case .memoryOnline: .init("memoryOnline", .refuses, "daxctl offline-memory", "drivers/dax/kmem.c")
        case .secureGuests: .init("secureGuests", .refuses, "end the guests", "drivers/crypto/ccp/sev-dev.c")
        // Sound, input, console
        case .sound: .init("sound", .warns, "stop what plays or records, if it matters", "sound/core/pcm_native.c")
        case .attended: .init("attended", .warns, "end the process, if the unbind waits for it", "sound/core/init.c")
        case .kernelConsole: .init("kernelConsole", .refuses, "boot with another console=", "drivers/tty/serial")
        case .onlyKeyboard: .init("onlyKeyboard", .warns, "have another way in: ssh", "drivers/tty/vt/keyboard.c")
        // Chipset
        case .watchdog: .init("watchdog", .refuses, "stop it with who feeds it", "drivers/watchdog/watchdog_dev.c")
        case .routed: .init("routed", .refuses, "unplug it", "drivers/thunderbolt/tb.c")
        case .chipset: .init("chipset", .refuses, "ask for another member of the group", "drivers/mfd/lpc_ich.c")
        case .chipsetAlong: .init("chipsetAlong", .warns, "leave it out: no guest needs it", "drivers/mfd/lpc_ich.c")
        // Processes, claims, and what is not known
        case .silent: .init("silent", .refuses, "remove it and rescan its bus, or power off", "drivers/pci/access.c")
        case .open: .init("open", .refuses, "end the process", "fs/proc/fd.c")
        case .virtualFunctions: .init("virtualFunctions", .refuses, "set sriov_numvfs to 0", "drivers/pci/iov.c")
        case .physicalFunctionClaimed: .init("physicalFunction", .refuses, "release that claim", "drivers/pci/iov.c")
        case .replaced: .init("replaced", .refuses, "force the member, if it is the one that is meant", "law 9")
        case .unknown: .init("unknown", .unknown, "remove the reason, or force the member", "promise 8")
        }
    }
}
