// A descriptor of vfio or iommufd that the daemon holds.

import CLinux
public import EventLoop
import Glibc
import Inventory

/// An open file of vfio or iommufd, shared by those who work with it.
///
/// Its last close can take a minute (vfio resets the device then), so that it is let go of by `KernelCall.close`, whose
/// worker keeps a copy; that it is closed with its last reference is for when all else is over.
@LoopActor
public final class KernelFile: Sendable {
    /// The descriptor; -1 once it was let go of.
    public private(set) var number: Int32
    /// Others may have it open as well.
    public private(set) var wasCopied = false

    /// Takes over an open descriptor.
    public init(owning number: Int32) { self.number = number }

    isolated deinit { letGo() }

    /// Whether it is still the daemon's.
    public var isOpen: Bool { number >= 0 }

    /// A copy to pass on; nil when it was let go of, or no descriptor is free.
    public func copy() -> Descriptor? {
        guard isOpen else { return nil }
        wasCopied = true
        let copy = clinux_duplicate(number)
        return copy < 0 ? nil : Descriptor(owning: copy)
    }

    /// Suspends until it can be read from, or its peer is gone.
    public func readable() async throws(LoopError) { try await EventLoop.main.readable(number) }

    /// Closes the daemon's copy: at once, so that somebody else must have one.
    public func letGo() {
        guard isOpen else { return }
        EventLoop.main.forget(number)
        close(number)
        number = -1
    }
}
