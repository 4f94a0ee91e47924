// What the daemon knows of groups: listing, explaining, watching.

public import GroupAPI

extension GroupClient {
    /// Lists all groups, in the order of host bridge and topology.
    ///
    /// - Returns: the groups, without their I/O windows, which only `group(_:)` has.
    /// - Throws: `GroupClientError`, or `CancellationError`.
    public func groups() async throws -> [Groups.Group] {
        try await shortCall { try await $0.list(Groups.ListGroups.self, .init(), \.groups) }
    }

    /// Looks one group up.
    ///
    /// - Parameter subject: which.
    /// - Returns: the group, with the I/O windows that it may use.
    /// - Throws: `GroupClientError`, or `CancellationError`.
    public func group(_ subject: GroupSubject) async throws -> Groups.Group {
        try await shortCall { connection in
            try await connection.call(
                Groups.GetGroup.self,
                .init(id: subject.id, device: subject.device, kernelGroup: subject.kernelGroup)
            ).group
        }
    }

    /// Says why the devices of a group are together, and what would take them apart.
    ///
    /// - Parameter subject: the group.
    /// - Returns: the explanation; its sentences are for people.
    /// - Throws: `GroupClientError`, or `CancellationError`.
    public func explain(_ subject: GroupSubject) async throws -> Groups.Explain.Reply {
        try await shortCall { connection in
            try await connection.call(
                Groups.Explain.self,
                .init(id: subject.id, device: subject.device, kernelGroup: subject.kernelGroup))
        }
    }

    /// Says why two devices are in one group, or what keeps them apart.
    ///
    /// - Parameters:
    ///   - device: one device.
    ///   - other: the other.
    /// - Returns: the explanation; its sentences are for people.
    /// - Throws: `GroupClientError`, or `CancellationError`.
    public func explain(
        _ device: Groups.DeviceAddress, and other: Groups.DeviceAddress
    ) async throws -> Groups.Explain.Reply {
        try await shortCall { try await $0.call(Groups.Explain.self, .init(device: device, other: other)) }
    }

    /// Watches all changes of groups and claims.
    ///
    /// - Returns: the changes, as they happen. The call is made when iteration begins.
    public func monitor() -> GroupEvents { GroupEvents(client: self) }
}
