// Whoever keeps the registry that claims are made from, as the takeover sees it: the one way in which it learns what is
// known of the host beyond what it reads itself, and tells what became of claims.

public import EventLoop
import Grouping
public import Host
public import Registry

/// Keeps the registry, and the takeover with it.
@LoopActor
public protocol RegistryKeeper: AnyObject {
    /// What is known of the host now.
    var snapshot: Snapshot { get }

    /// Reads the host anew, for when what was done must be seen before it is said to be done.
    func refresh() async

    /// Groups came into other hands, or something is to be told.
    func claimsChanged(_ events: [ClaimEvent])

    /// Tells at the start which groups are on record, so that the registry calls them what claims call them.
    func keepIdentities(of groups: [KnownGroup])

    /// Other devices are meant by their places than before: somebody took them by force.
    func devicesWereAccepted()

    /// The system unit that a process runs in, for who is to be named by it; nil where it runs in none.
    func unit(of process: ProcessIdentity) -> String?

    /// Something an operator should know.
    func report(_ message: String)
}
