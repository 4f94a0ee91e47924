// Who may do what: root everything, others what [Access] of the configuration grants them.

import Config
import EventLoop
import Glibc
import GroupAPI
import Inventory
import Systemd
import Takeover
import Varlink

extension Clients {
    /// Whether a client is among them.
    func contain(_ client: Client) -> Bool {
        users.contains(client.peer.uid) || groups.contains(client.peer.gid) || !groups.isDisjoint(with: client.groups)
            || client.unit.map { unit in units.contains { unit.isCalled($0) } } ?? false
    }
}

extension AccessPolicy {
    /// Why a client that is not root may not claim groups, and what would allow it; nil when it may.
    func reasonAgainstClaims(by client: Client) -> String? {
        guard !claim.contain(client) else { return nil }
        return reason(client, "claim groups", claim.isEmpty, "Claim")
    }

    /// Why a client that is not root may not read, and what would allow it; nil when it may.
    func reasonAgainstReading(by client: Client) -> String? {
        guard !read.isEmpty, !read.contain(client), !claim.contain(client) else { return nil }
        return reason(client, "see groups, devices and claims", false, "Read")
    }

    private func reason(_ client: Client, _ what: String, _ isOnlyRoots: Bool, _ keys: String) -> String {
        let gids = ([client.peer.gid] + client.groups).reduce(into: [UInt32]()) {
            if !$0.contains($1) { $0.append($1) }
        }
        var ways = ["\(keys)Users=\(client.peer.uid)", "\(keys)Groups=\(gids[0])"]
        if let unit = client.unit { ways.append("\(keys)Units=\(unit.name)") }
        return "uid \(client.peer.uid) (groups \(gids.map(String.init).joined(separator: ", ")); "
            + (client.unit.map(\.name) ?? (client.process == nil ? "its process has ended" : "in no system unit"))
            + ") may not \(what): " + (isOnlyRoots ? "only root may" : "root may, and whom [Access] names")
            + ". In [Access] of vfiogroupd.conf " + ways.dropLast().joined(separator: ", ") + " or \(ways.last ?? "")"
            + " would allow it, after vfiogroupctl reload"
    }
}

extension GroupService {
    /// Root, and who the daemon runs as.
    func isAdministrator(_ peer: Peer) -> Bool { administrators.contains(peer.uid) }

    /// Throws AccessDenied at who may not claim groups.
    func requireRightToClaim(_ caller: Caller) throws(ErrorReply) {
        guard !isAdministrator(caller.peer) else { return }
        guard let reason = configuration.access.reasonAgainstClaims(by: Client(caller)) else { return }
        throw ErrorReply(Claims.Failure.accessDenied(reason: reason))
    }

    /// Throws AccessDenied at who is no administrator.
    func requireAdministrator(_ peer: Peer, to what: String) throws(ErrorReply) {
        guard !isAdministrator(peer) else { return }
        throw ErrorReply(Claims.Failure.accessDenied(reason: "uid \(peer.uid) may not \(what): only root may"))
    }

    /// Has a server ask before every call, where not everybody may read.
    func guardReading() {
        guard !configuration.access.read.isEmpty else { return server.authorize = nil }
        server.authorize = { [weak self] (caller, method) throws(ErrorReply) in
            guard let self, !method.hasPrefix("org.varlink.service.") else { return }
            guard let reason = refuseReading(to: caller, "refused \(method) to") else { return }
            if method.hasPrefix(Manager.interface.name + ".") {
                throw ErrorReply(Manager.Failure.accessDenied(reason: reason))
            }
            if method.hasPrefix(Claims.interface.name + ".") {
                throw ErrorReply(Claims.Failure.accessDenied(reason: reason))
            }
            throw ErrorReply(Groups.Failure.accessDenied(reason: reason))
        }
        // Those that were begun when they still might.
        monitors.close { caller in
            refuseReading(to: caller, "ended a monitor of").map { ErrorReply(Groups.Failure.accessDenied(reason: $0)) }
        }
    }

    /// Why a caller may not read, put on record in words that the client is the end of; nil when it may.
    private func refuseReading(to caller: Caller, _ what: String) -> String? {
        guard !isAdministrator(caller.peer) else { return nil }
        let client = Client(caller)
        guard let reason = configuration.access.reasonAgainstReading(by: client) else { return nil }
        tell(
            JournalMessage(
                .requestRefused, "\(what) \(client.text): it may not read",
                client.fields + [.init(.errorName, Groups.Failure.accessDenied(reason: "").name)]))
        return reason
    }

    /// Throws TooManyClaims where an owner, or everybody together, would have more claims than there may be.
    func requireRoomForClaim(of uid: UInt32) throws(ErrorReply) {
        let limits = configuration.limits
        // Those that are being taken were asked for, and count as that.
        let owners = takeover.views.map(\.claim).filter { $0.goal != .take }.map(\.owner.uid) + claimsAsked
        if owners.count >= limits.claims {
            throw ErrorReply(
                Claims.Failure.tooManyClaims(
                    limit: limits.claims,
                    reason: "there are \(owners.count) claims; release some, or raise Claims= in vfiogroupd.conf"))
        }
        let own = owners.count { $0 == uid }
        guard administrators.contains(uid) || own < limits.claimsPerUser else {
            throw ErrorReply(
                Claims.Failure.tooManyClaims(
                    limit: limits.claimsPerUser,
                    reason: "uid \(uid) has \(own) claims; release some, or raise ClaimsPerUser= in vfiogroupd.conf"))
        }
    }
}
