import ArgumentParser
import EventLoop
import GroupAPI
import JSON
import Varlink

/// Shows one group with all that is known of it.
struct ShowCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show one group, or the group that a device is in.")

    @ParentCommand var parent: Command
    @OptionGroup var own: CommonOptions

    @Argument(help: Subject.help) var name: String

    func run(on connection: Connection) async throws {
        let wanted = Groups.GetGroup.Parameters(typed: name)
        let reply: JSONObject
        do throws(ClientError) { reply = try await connection.call(Groups.GetGroup.self, wanted) } catch {
            guard let address = wanted.device, case .deviceInNoGroup? = error.failure(as: Groups.Failure.self) else {
                throw error
            }
            return try await showUngrouped(address, on: connection)
        }
        let group = try decode(reply, as: Groups.GetGroup.Reply.self).group
        let resets = try await resets(of: group, on: connection)
        if common.json {
            // Two replies in one object: GetGroup's, and beside its field the members of GetResets'.
            var both = reply
            if let members = resets?["members"] { both.members.append(.init(key: "resets", value: members)) }
            return printJSON(both)
        }
        show(
            group, claim: try await claim(of: group, on: connection),
            resets: try resets.map { (reply) throws(Complaint) in try decode(reply) })
    }

    /// The claim that has a group; nil where nobody has.
    private func claim(of group: Groups.Group, on connection: Connection) async throws -> Claims.ClaimStatus? {
        guard let id = group.claim else { return nil }
        let reply: JSONObject
        do throws(ClientError) { reply = try await connection.call(Claims.GetClaim.self, .init(claim: id)) } catch {
            // It may be over since.
            guard case .noSuchClaim? = error.failure(as: Claims.Failure.self) else { throw error }
            return nil
        }
        return try decode(reply, as: Claims.GetClaim.Reply.self).claim
    }

    /// How members are reset; nil where the daemon does not say: an older one does not know the method, and the group may
    /// be gone since.
    private func resets(of group: Groups.Group, on connection: Connection) async throws -> JSONObject? {
        do throws(ClientError) { return try await connection.call(Groups.GetResets.self, .init(id: group.id)) } catch {
            guard case .reply = error else { throw error }
            return nil
        }
    }

    private func show(_ group: Groups.Group, claim: Claims.ClaimStatus?, resets: Groups.GetResets.Reply?) {
        let names = DeviceNames()
        printLine("group         \(group.id)")
        printLine("state         \(group.stateText)")
        if let reason = group.stateReason, reason != group.reason { printLine("because       \(reason)") }
        if let operation = group.operation { printLine("going on      \(Claims.Operation(operation).text)") }
        if let claim { printLine("claim         \(claim.title), of \(claim.owner.text) since \(claim.since)") }
        printLine("isolated      \(group.isolated ? "yes" : "no")")
        printLine("claimable     \(group.claimable ? "yes" : "no")")
        if let reason = group.reason { printLine("reason        \(reason)") }
        printLine("complete      \(group.complete ? "yes" : "no")")
        printLine("backend       \(group.backend.rawValue)")
        printLine("host bridges  \(group.hostBridges.joined(separator: ", "))")
        printLine("kernel groups \(group.kernelGroups.map(String.init).joined(separator: ", "))")
        printLine()
        var table = Table("MEMBER", "ROLE", "STATE", "DRIVER", "OVERRIDE", "NODE", "WHAT")
        for member in group.members {
            table.add(
                member.address.text, member.role.rawValue, member.state.rawValue, member.driver ?? "-",
                member.driverOverride ?? "-", member.numaNode.map(String.init) ?? "-", names.description(of: member))
        }
        printLine(table.text)
        if let windows = windowTable(group.windows ?? []) {
            printLine("\nDMA windows:")
            for line in windows.text.split(separator: "\n") { printLine("  \(line)") }
        }
        printSection("Resets", resets.map(resetLines) ?? [])
        printSection("Since the last boot", group.sinceLastBoot ?? [])
        printSection("Used by the host" + (group.usesSeen.map { ", seen \($0)" } ?? ""), group.useLines)
        guard !group.blockers.isEmpty else { return }
        printLine("\nIn the way:")
        for blocker in group.blockers {
            let what = blocker.classCode.map {
                " (" + names.description(vendor: nil, device: nil, classCode: $0) + ")"
            }
            printLine("  \(blocker.address.text)\(what ?? ""): \(blocker.reason)")
            printLine("    \(blocker.remedy)")
        }
    }

    private func showUngrouped(_ address: Groups.DeviceAddress, on connection: Connection) async throws {
        let reply = try await connection.call(Groups.GetDevice.self, .init(device: address))
        if common.json { return printJSON(reply) }
        let device = try decode(reply, as: Groups.GetDevice.Reply.self).device
        printLine("device   \(device.address.text)")
        let what = DeviceNames().description(
            vendor: device.vendorId, device: device.deviceId, classCode: device.classCode)
        printLine("what     \(what)")
        printLine("driver   \(device.driver ?? "-")")
        printLine("group    none: \(device.reason ?? "unknown")")
    }
}
