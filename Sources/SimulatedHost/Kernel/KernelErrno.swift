// The kernel's error numbers, as far as the simulated one answers with them.

import Inventory

/// An error number by the name that the kernel gives it.
public enum KernelErrno: String, Error, CaseIterable, Sendable {
    case eperm, enoent, eio, enxio, ebadf, enomem, eacces, ebusy, enodev, einval, enotty, erange, etimedout

    /// The number on Linux, everywhere but on MIPS, SPARC, Alpha and PA-RISC.
    public var number: Int32 {
        switch self {
        case .eperm: 1
        case .enoent: 2
        case .eio: 5
        case .enxio: 6
        case .ebadf: 9
        case .enomem: 12
        case .eacces: 13
        case .ebusy: 16
        case .enodev: 19
        case .einval: 22
        case .enotty: 25
        case .erange: 34
        case .etimedout: 110
        }
    }
}

extension KernelErrno: CustomStringConvertible {
    /// EBUSY and the like.
    public var description: String { rawValue.uppercased() }
}
