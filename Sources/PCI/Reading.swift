// What was found when something was looked for. "Not there" and "could not be read" are different answers: a missing
// ACS capability makes a group larger, an unreadable one makes it unknown.

/// The result of looking for something in a device.
public enum Reading<Value> {
    /// It is there.
    case present(Value)
    /// It was looked for in full, and is not there.
    case absent
    /// It could not be read, and nothing is assumed.
    case unknown(UnknownReason)

    /// The value, if it is there.
    public var value: Value? { if case .present(let value) = self { value } else { nil } }

    /// Whether it could not be read.
    public var isUnknown: Bool { if case .unknown = self { true } else { false } }

    /// The same answer about something derived from it.
    public func map<Other>(_ transform: (Value) -> Other) -> Reading<Other> {
        switch self {
        case .present(let value): .present(transform(value))
        case .absent: .absent
        case .unknown(let reason): .unknown(reason)
        }
    }
}

extension Reading: Sendable where Value: Sendable {}
extension Reading: Equatable where Value: Equatable {}

/// Why something is unknown.
public enum UnknownReason: String, Sendable, CaseIterable {
    /// The device has no `config` file, or it could not be opened.
    case noConfig
    /// Only the header was readable: the reader lacks CAP_SYS_ADMIN, so the kernel gave 64 bytes.
    case headerOnly
    /// No extended configuration space was readable (256 bytes: no MMCONFIG, or a limited reader).
    case noExtendedConfig
    /// The configuration space contradicts itself; a warning names the offset.
    case malformed
    /// The device answers with all ones: it is off the bus or in a sleep state that cannot be read.
    case notResponding
    /// The attribute waits for the device lock, which the kernel holds: the device is busy in the kernel.
    case deviceBusy
    /// The file could not be read.
    case unreadable

    /// The reason in words.
    public var explanation: String {
        switch self {
        case .noConfig: "the device has no readable config file"
        case .headerOnly: "only the first 64 bytes of config were readable (CAP_SYS_ADMIN is needed for the rest)"
        case .noExtendedConfig: "no extended configuration space was readable"
        case .malformed: "the configuration space contradicts itself"
        case .notResponding: "the device answers with all ones"
        case .deviceBusy: "the device is busy in the kernel"
        case .unreadable: "the file could not be read"
        }
    }
}
