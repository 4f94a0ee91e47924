// Descriptors that outlive the process: somebody else has copies of them, by name, and passes them to the next daemon.

/// Why a store did not do what it was told, in words.
public struct DescriptorStoreError: Error, Equatable, Sendable {
    public var reason: String

    public init(reason: String) { self.reason = reason }
}

/// A descriptor that an earlier process left in a store, which still has a copy. It is the receiver's to close.
public struct StoredDescriptor: Equatable, Sendable {
    public var name: String
    public var descriptor: Int32

    public init(name: String, descriptor: Int32) {
        self.name = name
        self.descriptor = descriptor
    }
}

/// Where descriptors are kept for the next process.
@LoopActor
public protocol DescriptorStore: AnyObject, Sendable {
    /// How many it keeps; what is beyond that it closes without a word.
    nonisolated var capacity: Int { get }

    /// The process that has the copies.
    nonisolated var keeper: Int32 { get }

    /// Keeps a copy by a name: printable ASCII without `:`, at most 255 characters. Returns when it is on its way, from
    /// where no end of this process brings it back.
    func keep(_ descriptor: Int32, as name: String) async throws(DescriptorStoreError)

    /// Closes the copy that is kept by this name, some time after this returns.
    func drop(_ name: String)

    /// Suspends until the store has done all that it was told before.
    func settle() async throws(DescriptorStoreError)
}
