// A claim as its owner has it: what the daemon said of it, and what it handed over.

public import GroupAPI
import Varlink

/// Groups that were claimed, and what was handed over of them.
///
/// Keep it as long as the groups are used, such as by calling `release()` at the end: the descriptors are closed with
/// the last copy, and so is the connection of a claim whose lifetime is that.
public struct HeldClaim: Sendable {
    /// The claim when the daemon replied.
    public let status: Claims.ClaimStatus
    /// What a consumer of the groups needs beside what it is given; nil where the daemon does not say.
    public let needs: Claims.Needs?
    /// What the host was seen to do with the groups and did not stop the claim: what only warns, and what was forced. Empty
    /// where the daemon does not say.
    public let uses: [Claims.Use]
    /// How the groups were handed over, with the nodes to open and the I/O address space; nil where nothing was. Its
    /// descriptors are indices of the reply: `descriptors` has what they stand for.
    public let handover: Claims.Handover?
    /// The descriptors that came, in this order: the iommufd, the container, kernel groups, devices.
    public let descriptors: [HandedDescriptor]

    let client: GroupClient
    /// Kept for a claim that lasts as long as its connection.
    let connection: VarlinkClient?

    /// The identity of the claim.
    public var id: String { status.id }

    /// Closes the descriptors, and gives the groups back to the host.
    ///
    /// - Returns: what became of the claim, when all is restored or something could not be restored yet.
    /// - Throws: `GroupClientError`, or `CancellationError`.
    @discardableResult
    public func release() async throws -> Claims.ClaimStatus {
        for descriptor in descriptors { descriptor.close() }
        defer { withExtendedLifetime(connection) {} }
        return try await client.release(id)
    }
}

extension [HandedDescriptor] {
    /// Takes what a handover refers to out of what came with the reply.
    ///
    /// - Throws: the index of a descriptor that did not come.
    init(_ handover: Claims.Handover?, of received: ReceivedDescriptors) throws(MissingDescriptor) {
        self = []
        guard let handover else { return }
        func take(_ index: Int, as kind: HandedDescriptor.Kind) throws(MissingDescriptor) -> HandedDescriptor {
            guard let descriptor = received.take(index) else { throw MissingDescriptor(index: index) }
            return HandedDescriptor(kind, owning: descriptor)
        }
        if let index = handover.iommufd { append(try take(index, as: .iommufd)) }
        if let index = handover.container { append(try take(index, as: .container)) }
        for group in handover.groups { append(try take(group.descriptor, as: .kernelGroup(group.kernelGroup))) }
        for device in handover.devices { append(try take(device.descriptor, as: .device(device.address))) }
    }
}

/// A reply refers to a descriptor that did not come with it.
struct MissingDescriptor: Error {
    var index: Int
}
