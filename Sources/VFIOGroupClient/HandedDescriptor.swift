// A descriptor that came with a reply: whose it is, what it is of, and that it is closed once.

import EventLoop
import Glibc
public import GroupAPI
import Synchronization

/// A descriptor that the daemon handed over. It is this process's own, and closed on exec.
///
/// It is closed exactly once: by `close()`, or when the last reference to this object is gone; `take()` leaves that to
/// the caller.
public final class HandedDescriptor: Sendable {
    /// What a descriptor is of.
    public enum Kind: Equatable, Sendable {
        /// The iommufd that the devices are bound to, or are to be bound to (`/dev/iommu`).
        case iommufd
        /// The VFIO container that the kernel groups are in (`/dev/vfio/vfio`).
        case container
        /// The character device of a device (`/dev/vfio/devices/vfioN`).
        case device(Claims.DeviceAddress)
        /// A kernel group, by its number (`/dev/vfio/N`).
        case kernelGroup(Int)
    }

    /// What it is of.
    public let kind: Kind
    private let owned: Mutex<Int32?>

    init(_ kind: Kind, owning descriptor: consuming Descriptor) {
        self.kind = kind
        owned = Mutex(descriptor.release())
    }

    deinit { close() }

    /// The number; nil once it was closed or taken. It is valid as long as this object lives and is not closed.
    public var number: Int32? { owned.withLock { $0 } }

    /// Gives the ownership away, to a program that is started or to a library.
    ///
    /// - Returns: the number, which the caller closes; nil when it was closed or taken before.
    public func take() -> Int32? { owned.withLock { $0.take() } }

    /// Closes it; does nothing when it was closed or taken before. The daemon gives no group back to the host while
    /// somebody has a descriptor of it.
    public func close() {
        if let number = take() { Glibc.close(number) }
    }

    /// A name for people: `iommufd`, `container`, a device's address, or `kernel group 4`.
    public var name: String {
        switch kind {
        case .iommufd: "iommufd"
        case .container: "container"
        case .device(let address): address.name
        case .kernelGroup(let number): "kernel group \(number)"
        }
    }

    /// The address of the device that it is of; nil for one that is not of a single device.
    public var device: Claims.DeviceAddress? { if case .device(let address) = kind { address } else { nil } }
}

extension HandedDescriptor: CustomStringConvertible {
    /// The name and the number: `0000:05:00.0 (descriptor 7)`.
    public var description: String { "\(name) (\(number.map { "descriptor \($0)" } ?? "closed"))" }
}
