// What those who watch are told: changes of the registry, and what became of claims.

import Grouping
import Inventory
import Registry
import Takeover

/// One event, whoever it comes from.
public enum GroupEvent: Equatable, Sendable {
    /// What was different when the host was read, or when groups came into other hands.
    case registry(RegistryEvent)
    /// What became of a claim, and the generation of the registry that it is seen in.
    case claim(ClaimEvent, generation: Int)
}

extension GroupEvent {
    /// The generation that it came with.
    public var generation: Int {
        switch self {
        case .registry(let event): event.generation
        case .claim(_, let generation): generation
        }
    }

    /// The group it is about.
    public var group: GroupID? {
        switch self {
        case .registry(let event): event.group
        case .claim(let event, _): event.group
        }
    }

    /// The claim it is about.
    public var claim: String? {
        switch self {
        case .registry(let event): event.claim
        case .claim(let event, _): event.claim
        }
    }

    /// The device it is about.
    public var member: DeviceAddress? {
        switch self {
        case .registry(let event): event.member
        case .claim(let event, _): event.member
        }
    }

    /// What is different, in words.
    public var cause: String? {
        switch self {
        case .registry(let event): event.cause
        case .claim(let event, _): event.cause
        }
    }
}
