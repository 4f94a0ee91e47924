import Glibc

/// A descriptor that somebody owns, and that is closed when its owner lets go of it.
public struct Descriptor: ~Copyable, Sendable {
    /// The number; valid as long as this value lives.
    public let number: Int32

    /// Takes over an open descriptor.
    public init(owning number: Int32) { self.number = number }

    deinit { if number >= 0 { close(number) } }

    /// Gives the ownership away: the caller closes it.
    public consuming func release() -> Int32 {
        let number = number
        discard self
        return number
    }
}
