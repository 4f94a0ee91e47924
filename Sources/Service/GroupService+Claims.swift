// io.vfiogroupd.Claims: who may ask, what is asked, and what becomes of it.

import EventLoop
import Glibc
import GroupAPI
import Grouping
import Host
import Inventory
import PCI
import Registry
import Takeover
import Varlink

extension GroupService {
    func registerClaims() {
        server.add(Claims.interface)
        handle(Claims.Claim.self) { [self] (call) async throws(ErrorReply) in
            try await claim(call)
        }
        handle(Claims.Launch.self) { [self] (call) async throws(ErrorReply) in
            let name = try owned(call.parameters.claim, by: call.peer)
            let leaveOut = try devices(call.parameters.leaveOut, "leaveOut")
            let user = try user(call.parameters.user, named: call.peer)
            let guestMemory = try guestMemory(call.parameters.guestMemory)
            let timeout = try consumerTimeout(call.parameters.consumerTimeoutSeconds)
            let granted = try await asking { () async throws(TakeoverError) in
                try await takeover.launch(
                    name, .init(call.parameters.access), leaveOut: leaveOut, user: user, consumerTimeout: timeout)
            }
            guard let handover = try await handOrWithdraw(granted, over: call) else { throw .clientGone }
            let id = granted.claim.claim.id
            return .init(
                claim: try status(of: id), handover: handover, needs: try needs(of: id, guestMemory)
            )
        }
        handle(Claims.Attach.self) { [self] (call) async throws(ErrorReply) in
            try requireRightToClaim(call.caller)
            let name = try owned(call.parameters.claim, by: call.peer)
            try requireRightToForce(call.parameters.force, call.peer)
            let selectors = try selectors(call.parameters.selectors)
            let force = try devices(call.parameters.force, "force")
            let stream = ProgressStream(call) { .init(progress: $0) }
            let granted = try await asking { () async throws(TakeoverError) in
                try await takeover.attach(selectors, to: name, force: force, progress: stream.report)
            }
            await stream.end()
            let handover: Claims.Handover?
            do throws(ErrorReply) { handover = try await handOrWithdraw(granted, over: call) } catch {
                takeover.giveUp(
                    granted.claim.claim.id, groups: granted.groups,
                    cause: "what its owner is to have of them could not be handed over")
                throw error
            }
            return .init(
                claim: try status(of: granted.claim.claim.id), handover: handover, uses: granted.uses.map { .init($0) })
        }
        handle(Claims.Detach.self) { [self] (call) async throws(ErrorReply) in
            let name = try owned(call.parameters.claim, by: call.peer)
            let stream = ProgressStream(call) { .init(progress: $0) }
            let view = try await asking { () async throws(TakeoverError) in
                try await takeover.detach(call.parameters.groups, from: name, progress: stream.report)
            }
            await stream.end()
            return .init(claim: .init(view), returned: Claims.ClaimedGroup.returned(view, call.parameters.groups))
        }
        handle(Claims.Release.self) { [self] (call) async throws(ErrorReply) in
            let name = try owned(call.parameters.claim, by: call.peer)
            let stream = ProgressStream(call) { .init(progress: $0) }
            let view = try await asking { () async throws(TakeoverError) in
                try await takeover.release(name, progress: stream.report)
            }
            await stream.end()
            return .init(claim: .init(view))
        }
        handle(Claims.Adopt.self) { [self] (call) async throws(ErrorReply) in
            try requireAdministrator(call.peer, to: "adopt what somebody may be using")
            let owner = try owner(of: call)
            let parameters = call.parameters
            let view = try await asking { () async throws(TakeoverError) in
                try await takeover.adopt(
                    parameters.group, name: parameters.name, lifetime: parameters.lifetime.map { .init($0) } ?? .manual,
                    for: owner)
            }
            return .init(claim: .init(view))
        }
        registerSimpleClaimMethods()
    }

    private func registerSimpleClaimMethods() {
        server.answer(Claims.GetClaim.self) { [self] (call) throws(ErrorReply) in
            Answer(.init(claim: try status(of: call.parameters.claim)))
        }
        server.answer(Claims.ListClaims.self) { [self] _ in Answer(.init(claims: takeover.views.map { .init($0) })) }
        handle(Claims.Abandon.self) { [self] (call) async throws(ErrorReply) in
            let name = try owned(call.parameters.claim, by: call.peer)
            let left = try await asking { () async throws(TakeoverError) in try await takeover.abandon(name) }
            return .init(members: left.map { .init($0) })
        }
        handle(Claims.Unquarantine.self) { [self] (call) async throws(ErrorReply) in
            try requireAdministrator(call.peer, to: "lift a quarantine")
            do throws(TakeoverError) { try takeover.unquarantine(call.parameters.group) } catch {
                throw ErrorReply(error)
            }
            return .init()
        }
    }

    private func claim(
        _ call: Call<Claims.Claim>
    ) async throws(ErrorReply) -> Claims.Claim.Reply {
        let owner = try owner(of: call)
        let parameters = call.parameters
        let guestMemory = try guestMemory(parameters.guestMemory)
        try requireRightToForce(parameters.force, call.peer)
        guard (0...86_400).contains(parameters.waitSeconds ?? 0) else { throw .invalidParameter("waitSeconds") }
        var request = ClaimRequest(
            try selectors(parameters.selectors), name: parameters.name,
            lifetime: parameters.lifetime.map { .init($0) } ?? .process,
            access: parameters.access.map { .init($0) } ?? .hold,
            leaveOut: try devices(parameters.leaveOut, "leaveOut"), user: try user(parameters.user, named: call.peer),
            force: try devices(parameters.force, "force"), wait: .seconds(parameters.waitSeconds ?? 0))
        request.consumerTimeout = try consumerTimeout(parameters.consumerTimeoutSeconds)
        if parameters.dryRun == true { return try await plan(request, for: owner, guestMemory) }
        let stream = ProgressStream(call) { .init(progress: $0) }
        let granted: Takeover.Granted
        try requireRoomForClaim(of: owner.uid)
        // Until the takeover has it, it may wait for others; and those that wait count, too.
        claimsAsked.append(owner.uid)
        do throws(TakeoverError) {
            defer { claimsAsked.firstIndex(of: owner.uid).map { _ = claimsAsked.remove(at: $0) } }
            granted = try await takeover.claim(request, for: owner, progress: stream.report)
        } catch { throw ErrorReply(error) }
        let id = granted.claim.claim.id
        await stream.end()
        guard !Task.isCancelled else {
            // Nobody has heard of it.
            takeover.giveUp(id, cause: "its client was gone before it heard of the claim")
            throw .clientGone
        }
        let handover: Claims.Handover?
        do throws(ErrorReply) { handover = try await hand(granted, over: call) } catch {
            takeover.giveUp(id, cause: "what it is to have could not be handed over")
            throw error
        }
        if request.lifetime == .connection {
            call.onConnectionOver { [self] in takeover.ownerIsGone(id, cause: "its connection is closed") }
        }
        return .init(
            claim: try status(of: id), handover: handover, needs: try needs(of: id, guestMemory),
            uses: granted.uses.map { .init($0) })
    }

    /// What a claim would do; nothing is done.
    private func plan(
        _ request: ClaimRequest, for owner: Owner, _ guestMemory: UInt64?
    ) async throws(ErrorReply) -> Claims.Claim.Reply {
        try requireRoomForClaim(of: owner.uid)
        let plan = try await asking { () async throws(TakeoverError) in try await takeover.plan(request, for: owner) }
        let needs = ConsumerNeeds(of: plan.claim, guestMemory: guestMemory, in: takeover.snapshot)
        return .init(needs: .init(needs), plan: .init(plan))
    }

    private func consumerTimeout(_ seconds: Int?) throws(ErrorReply) -> ConsumerTimeout? {
        guard let seconds else { return nil }
        guard (0...86_400).contains(seconds) else { throw .invalidParameter("consumerTimeoutSeconds") }
        return seconds == 0 ? .never : .after(.seconds(seconds))
    }

    private func guestMemory(_ bytes: Int?) throws(ErrorReply) -> UInt64? {
        guard let bytes else { return nil }
        guard (0...(1 << 62)).contains(bytes) else { throw .invalidParameter("guestMemory") }
        return UInt64(bytes)
    }

    private func needs(of id: String, _ guestMemory: UInt64?) throws(ErrorReply) -> Claims.Needs {
        do throws(TakeoverError) {
            return .init(
                ConsumerNeeds(of: try takeover.view(of: id).claim, guestMemory: guestMemory, in: takeover.snapshot))
        } catch { throw ErrorReply(error) }
    }

    /// The same as `hand`; what cannot be handed over is the daemon's again.
    private func handOrWithdraw<Method: VarlinkMethod>(
        _ granted: Takeover.Granted, over call: Call<Method>
    ) async throws(ErrorReply) -> Claims.Handover? {
        do throws(ErrorReply) { return try await hand(granted, over: call) } catch {
            await takeover.withdraw(granted)
            throw error
        }
    }

    /// Puts copies of what is handed over on their way, and lets go of the daemon's own.
    private func hand<Method: VarlinkMethod>(
        _ granted: Takeover.Granted, over call: Call<Method>
    ) async throws(ErrorReply) -> Claims.Handover? {
        guard let handover = granted.handover else { return nil }
        func attach(_ file: KernelFile?) throws(ErrorReply) -> Int? {
            guard let file else { return nil }
            guard let copy = file.copy() else {
                throw ErrorReply(
                    Claims.Failure.notRecorded(
                        reason: "the daemon has no descriptor free", remedy: "raise LimitNOFILE of vfiogroupd.service"))
            }
            return try call.attach(copy)
        }
        var reply = Claims.Handover(
            access: .init(handover.access), iommufd: try attach(handover.iommufd),
            ioas: handover.ioas.map { Int($0) }, container: try attach(handover.container), devices: [], groups: [],
            leftOut: handover.leftOut.map { .init($0) }, nodes: handover.nodes.map { .init($0.node, at: $0.path) },
            user: handover.user.map { Int($0) })
        for (device, file) in handover.devices {
            guard let index = try attach(file) else { continue }
            reply.devices.append(.init(address: .init(device), descriptor: index))
        }
        for (number, file) in handover.groups {
            guard let index = try attach(file) else { continue }
            reply.groups.append(.init(kernelGroup: number, descriptor: index))
        }
        await takeover.finishHandover(handover, of: granted.claim.claim.id)
        return reply
    }

    private func status(of name: String) throws(ErrorReply) -> Claims.ClaimStatus {
        do throws(TakeoverError) { return .init(try takeover.view(of: name)) } catch { throw ErrorReply(error) }
    }

    /// Who asks, when it may claim at all.
    private func owner<Method>(of call: Call<Method>) throws(ErrorReply) -> Owner {
        try requireRightToClaim(call.caller)
        let peer = call.peer
        guard let caller = call.caller.openProcess(), let process = ProcessIdentity(of: caller) else {
            throw .clientGone
        }
        return Owner(uid: peer.uid, gid: peer.gid, process: process, command: process.command)
    }

    /// What the host uses is not for everybody to take who may claim.
    private func requireRightToForce(_ force: [Claims.DeviceAddress]?, _ peer: Peer) throws(ErrorReply) {
        guard let force, !force.isEmpty else { return }
        try requireAdministrator(peer, to: "take what the host itself uses")
    }

    /// Who is to open nodes: whoever root names, and others nobody but themselves.
    private func user(_ number: Int?, named peer: Peer) throws(ErrorReply) -> UInt32? {
        guard let number else { return nil }
        guard let uid = UInt32(exactly: number), uid != UInt32.max else { throw .invalidParameter("user") }
        if peer.uid != uid { try requireAdministrator(peer, to: "have nodes opened to uid \(uid)") }
        return uid
    }

    /// The claim of that name, when the caller may change it: its owner, or an administrator.
    private func owned(_ name: String, by peer: Peer) throws(ErrorReply) -> String {
        let claim: Claim
        do throws(TakeoverError) { claim = try takeover.view(of: name).claim } catch { throw ErrorReply(error) }
        guard isAdministrator(peer) || peer.uid == claim.owner.uid else {
            throw ErrorReply(
                Claims.Failure.accessDenied(
                    reason: "\(claim.id) belongs to uid \(claim.owner.uid), and only that and root may change it"))
        }
        return claim.id
    }

    private func asking<Value: Sendable>(
        _ body: @LoopActor () async throws(TakeoverError) -> Value
    ) async throws(ErrorReply) -> Value {
        do throws(TakeoverError) { return try await body() } catch { throw ErrorReply(error) }
    }
}

/// Sends how far something is, in the order in which it happened, to a client that asked for more than one reply.
@LoopActor
private final class ProgressStream<Method: VarlinkMethod> {
    private let call: Call<Method>
    private let reply: (Claims.Progress) -> Method.Reply
    private var last: Task<Void, Never>?

    init(_ call: Call<Method>, _ reply: @escaping (Claims.Progress) -> Method.Reply) {
        self.call = call
        self.reply = reply
    }

    func report(_ progress: ClaimProgress) {
        guard call.wantsMore else { return }
        let (previous, reply, call) = (last, reply(.init(progress)), call)
        last = EventLoop.main.spawn {
            await previous?.value
            do throws(ErrorReply) { try await call.send(reply) } catch {}
        }
    }

    /// Suspends until all is sent.
    func end() async { await last?.value }
}
