// Claiming groups, being handed what they are used by, and giving them back.

public import GroupAPI
import Varlink

extension GroupClient {
    /// Lists all claims, the oldest first.
    ///
    /// - Returns: the claims of all users.
    /// - Throws: `GroupClientError`, or `CancellationError`.
    public func claims() async throws -> [Claims.ClaimStatus] {
        try await shortCall { try await $0.call(Claims.ListClaims.self, .init()).claims }
    }

    /// Claims the group that a selector leads to, or as many as it asks for.
    ///
    /// - Parameters:
    ///   - selector: which group, as `.device(.pci("0000:01:00.0"))`.
    ///   - name: what to call the claim; it can then be named so.
    ///   - access: what to hand over at once.
    ///   - lifetime: how long the claim lasts without a release.
    /// - Returns: the claim, and the descriptors that came with it.
    /// - Throws: `GroupClientError`, or `CancellationError`.
    public func claim(
        _ selector: Claims.Selector, name: String? = nil, access: Claims.Access = .hold,
        lifetime: Claims.Lifetime = .process
    ) async throws -> HeldClaim {
        try await claim(.init(selectors: [selector], name: name, lifetime: lifetime, access: access))
    }

    /// Claims groups, with all that the daemon's method Claim can be told.
    ///
    /// A claim whose task is cancelled before the last reply is given up. A reply that the kernel has taken by then, and
    /// this client has not read, is lost: a claim with another lifetime than `connection` then stays until its end, and
    /// `claims()` lists it.
    ///
    /// - Parameters:
    ///   - parameters: which groups, and how.
    ///   - onProgress: called with what is being done, on the client's own thread: it must not block.
    /// - Returns: the claim, and the descriptors that came with it.
    /// - Throws: `GroupClientError`, or `CancellationError`.
    public func claim(
        _ parameters: Claims.Claim.Parameters, onProgress: (@Sendable (Claims.Progress) -> Void)? = nil
    ) async throws -> HeldClaim {
        try await longCall { connection in
            var last: (reply: Claims.Claim.Reply, descriptors: ReceivedDescriptors)?
            try await connection.each(of: Claims.Claim.self, parameters, receivesDescriptors: true) {
                if let progress = $0.progress { onProgress?(progress) }
                if $0.claim != nil { last = ($0, $1) }
            }
            guard let last, let status = last.reply.claim else { throw withoutClaim(connection) }
            do throws(MissingDescriptor) {
                return HeldClaim(
                    status: status, needs: last.reply.needs, uses: last.reply.uses ?? [],
                    handover: last.reply.handover,
                    descriptors: try [HandedDescriptor](last.reply.handover, of: last.descriptors), client: self,
                    connection: status.lifetime == .connection ? connection.client : nil)
            } catch {
                // Nobody would know of it. Its end is not waited for: it needs what came to be closed, which is later.
                try? await connection.client.callOneway(Claims.Release.self, .init(claim: status.id))
                throw missing(error, connection)
            }
        }
    }

    /// Says what a claim would take and do, and whether the host's uses would refuse it. Nothing is changed.
    ///
    /// - Parameter parameters: what the claim would be called with; `dryRun` need not be set.
    /// - Returns: what the claim would do, and what a consumer of it would need.
    /// - Throws: `GroupClientError`, also for what else would refuse the claim, or `CancellationError`.
    public func plan(
        _ parameters: Claims.Claim.Parameters
    ) async throws -> (plan: Claims.Plan, needs: Claims.Needs?) {
        var question = parameters
        question.dryRun = true
        let asked = question
        return try await longCall { connection in
            let reply = try await connection.call(Claims.Claim.self, asked)
            guard let plan = reply.plan else {
                throw GroupClientError.unreadable(socket: connection.socket, reason: "the reply has no plan")
            }
            return (plan, reply.needs)
        }
    }

    /// Hands a claim's groups over, or over again when nobody has them any more.
    ///
    /// - Parameters:
    ///   - claim: the identity or name of the claim. One that lasts as long as its connection still needs the value that
    ///     claimed it.
    ///   - access: how.
    ///   - guestMemory: how many bytes of memory the guest has, for `needs`; nil leaves that out.
    /// - Returns: the claim, and the descriptors that came.
    /// - Throws: `GroupClientError`, or `CancellationError`.
    public func launch(
        _ claim: String, access: Claims.Access, guestMemory: Int? = nil
    ) async throws -> HeldClaim {
        try await longCall { connection in
            let (reply, received) = try await connection.callReceivingDescriptors(
                Claims.Launch.self, .init(claim: claim, access: access, guestMemory: guestMemory))
            do throws(MissingDescriptor) {
                return HeldClaim(
                    status: reply.claim, needs: reply.needs, uses: [], handover: reply.handover,
                    descriptors: try [HandedDescriptor](reply.handover, of: received), client: self, connection: nil)
            } catch { throw missing(error, connection) }
        }
    }

    /// Adds groups to a claim; they share its I/O address space.
    ///
    /// - Parameters:
    ///   - selectors: which groups.
    ///   - claim: the identity or name of the claim.
    ///   - force: members to take though the host uses them; nothing else is forced.
    /// - Returns: the claim, and the descriptors that came of the new groups.
    /// - Throws: `GroupClientError`, or `CancellationError`.
    public func attach(
        _ selectors: [Claims.Selector], to claim: String, force: [Claims.DeviceAddress]? = nil
    ) async throws -> HeldClaim {
        try await longCall { connection in
            var last: (reply: Claims.Attach.Reply, descriptors: ReceivedDescriptors)?
            try await connection.each(
                of: Claims.Attach.self, .init(claim: claim, selectors: selectors, force: force),
                receivesDescriptors: true
            ) { if $0.claim != nil { last = ($0, $1) } }
            guard let last, let status = last.reply.claim else { throw withoutClaim(connection) }
            do throws(MissingDescriptor) {
                return HeldClaim(
                    status: status, needs: nil, uses: last.reply.uses ?? [], handover: last.reply.handover,
                    descriptors: try [HandedDescriptor](last.reply.handover, of: last.descriptors), client: self,
                    connection: nil)
            } catch { throw missing(error, connection) }
        }
    }

    /// Gives all groups of a claim back to the host, once nobody has a descriptor of them any more, for which it waits.
    ///
    /// - Parameter claim: the identity or name of the claim.
    /// - Returns: what became of it, when all is restored or something could not be restored yet, which then is in it.
    /// - Throws: `GroupClientError`, or `CancellationError`.
    @discardableResult
    public func release(_ claim: String) async throws -> Claims.ClaimStatus {
        try await longCall { connection in
            var last: Claims.ClaimStatus?
            try await connection.each(of: Claims.Release.self, .init(claim: claim)) { reply, _ in
                if let claim = reply.claim { last = claim }
            }
            guard let last else { throw withoutClaim(connection) }
            return last
        }
    }
}

private func withoutClaim(_ connection: Connection) -> GroupClientError {
    .unreadable(socket: connection.socket, reason: "the last reply has no claim")
}

private func missing(_ error: MissingDescriptor, _ connection: Connection) -> GroupClientError {
    .unreadable(
        socket: connection.socket,
        reason: "the reply speaks of descriptor \(error.index), which did not come with it: this process may have too "
            + "many open")
}
