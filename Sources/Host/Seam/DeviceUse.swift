// What a host does with its own devices. Taking one that is in use is how a host is lost.

/// A device that the host itself uses.
public struct DeviceUse: Equatable, Sendable {
    /// How it is used.
    public enum Kind: Equatable, Sendable {
        /// A file system on it is mounted, perhaps through devices that stack on it: `via` is the block device that is
        /// mounted, such as dm-0.
        case mounted(at: String, via: String)
        /// It is swapped to.
        case swap(via: String)
        /// Something that is not known to be mounted stacks on it: device-mapper, md.
        case stacked(holder: String)
        /// The default route leads through this interface of it.
        case defaultRoute(interface: String)
        /// The firmware showed its messages on it (boot_vga), or the console is on it.
        case bootDisplay
        /// A process has one of its nodes open.
        case open(pid: Int32, command: String)
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
