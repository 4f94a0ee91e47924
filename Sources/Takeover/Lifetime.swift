// How long a claim lasts, and what its owner has of it.

/// When a claim ends by itself.
public enum Lifetime: String, CaseIterable, Sendable {
    /// With the process that made it.
    case process
    /// With the connection that it was made by.
    case connection
    /// Not: somebody releases it.
    case manual
}

/// What the owner of a claim has of its groups. facts/ownership.md has what each of them costs.
public enum Access: String, CaseIterable, Sendable {
    /// Nothing yet; the daemon keeps the groups owned.
    case hold
    /// The cdevs, bound to an iommufd that came along: never unowned.
    case bound
    /// Fresh cdevs and the claim's iommufd, for who binds by itself.
    case unbound
    /// The groups' descriptors and their container: never unowned.
    case container
    /// The nodes in /dev, opened to the owner's user.
    case path
}
