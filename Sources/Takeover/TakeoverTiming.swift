// How long things may take, by the host's clock.

import Host
import Inventory

/// The patience of a takeover.
public struct TakeoverTiming: Equatable, Sendable {
    /// How long a call into the kernel may take before it is shown as blocked.
    public var blockedAfter = Duration.seconds(2)
    /// The same for one that has a driver take a device, if that is longer: it may load firmware and train links first.
    public var blockedProbeAfter = Duration.seconds(15)
    /// How long a call may take while groups are taken, before the claim fails; on the way back nothing is too long.
    public var patience = Duration.seconds(30)
    /// How long a node in /dev may be late.
    public var nodePatience = Duration.seconds(5)
    /// The pause before a restore, or taking a member again, is tried again; it doubles with every try...
    public var firstRetry = Duration.seconds(1)
    /// ... up to this.
    public var lastRetry = Duration.seconds(60)
    /// How often a driver is asked in a row to take back a device that it refuses. After that something has to change.
    public var refusals = 10
    /// How often those who asked for progress hear at least that a step still lasts.
    public var heartbeat = Duration.seconds(10)
    /// How often it is looked whether owners still have descriptors.
    public var look = Duration.seconds(1)
    /// How often it is looked whether members still have their drivers, of which not every kernel tells in time.
    public var memberLook = Duration.seconds(2)
    /// How long a program that was sent unbound cdevs may take until it is seen with them: it may be busy, and a trial of
    /// the daemon's in its gap would make it fail.
    public var firstSight = Duration.seconds(30)
    /// How long it is waited for a program that is to open nodes in /dev.
    public var consumerTimeout = ConsumerTimeout.after(.seconds(300))

    /// How long ago a member must have been taken again to be taken again once more.
    public var retakeAgain = Duration.seconds(60)
    /// The pause before ownership that somebody keeps from the daemon is tried again.
    public var ownAgain = Duration.seconds(5)

    public init() {}

    /// How long this call may take before it is shown as blocked.
    func blockedAfter(_ call: KernelCall) -> Duration {
        switch call {
        // Virtual functions are probed, too.
        case .probe, .setVirtualFunctions: max(blockedAfter, blockedProbeAfter)
        default: blockedAfter
        }
    }
}
