// The terms of a claim: how long it lasts, what its owner has of its groups, and what they are meant to become.

/// How long a claim lasts.
public enum Lifetime: Sendable {
    /// As long as its owner's process.
    case process
    /// As long as the connection that it was made by.
    case connection
    /// Until somebody releases it.
    case manual
}

/// What the owner of a claim has of its groups. What each costs is told in Documentation/kernel.md, Ownership. The raw
/// values are its names in messages.
public enum Access: String, Sendable {
    /// Nothing is handed over: the daemon keeps the groups owned.
    case hold
    /// The cdevs, bound to an iommufd that came along: never unowned.
    case bound
    /// Fresh cdevs and the claim's iommufd, for one who binds by itself.
    case unbound
    /// The groups' descriptors and their container: never unowned.
    case container
    /// The nodes in /dev, opened to a user.
    case path
}

/// What a claim or one of its groups is meant to become.
public enum Goal: Sendable {
    /// Being taken, and not promised to anybody yet: after a crash it is undone.
    case take
    /// The owner's.
    case hold
    /// On its way back.
    case restore
}
