// What can be done with a group now, and who decides that: its devices, or a claim of it.

/// What can be done with a group now.
public enum GroupState: Equatable, Sendable {
    /// It can never be claimed on this platform; why, in words.
    case unavailable(reason: String)
    /// It can be claimed.
    case available
    /// A vfio driver has members of it, and nobody claimed it.
    case orphaned
    /// A claim of it is being carried out.
    case claiming
    /// It is its owner's.
    case claimed
    /// It is its owner's, and no longer complete or no longer owned in the kernel; why, in words.
    case degraded(reason: String)
    /// It is on its way back to the host.
    case releasing
    /// It could not be restored yet, which is retried; why, in words.
    case restoring(reason: String)
    /// A reset of it was tried and failed; which and how, in words.
    case quarantined(reason: String)

    /// Its name in the API.
    public var name: String {
        switch self {
        case .unavailable: "unavailable"
        case .available: "available"
        case .orphaned: "orphaned"
        case .claiming: "claiming"
        case .claimed: "claimed"
        case .degraded: "degraded"
        case .releasing: "releasing"
        case .restoring: "restoring"
        case .quarantined: "quarantined"
        }
    }

    /// Why it is in that state, in words.
    public var reason: String? {
        switch self {
        case .unavailable(let reason), .degraded(let reason), .restoring(let reason), .quarantined(let reason): reason
        case .available, .orphaned, .claiming, .claimed, .releasing: nil
        }
    }
}

/// What a claim, or a quarantine, makes of a group; it goes before what the group's devices tell.
public struct Holding: Equatable, Sendable {
    /// The claim that has it; nil in quarantine.
    public var claim: String?
    public var state: GroupState

    public init(claim: String?, state: GroupState) {
        self.claim = claim
        self.state = state
    }
}
