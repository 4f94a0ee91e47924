import ArgumentParser
import EventLoop
import GroupAPI
import Varlink

/// Lists all groups and their members.
struct ListCommand: DaemonCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List all groups and their members.")

    @ParentCommand var parent: Command
    @OptionGroup var own: CommonOptions

    func run(on connection: Connection) async throws {
        let reply = try await connection.list(Groups.ListGroups.self, .init(), "groups")
        if common.json { return printJSON(reply) }
        let groups = try decode(reply, as: Groups.ListGroups.Reply.self).groups
        let names = DeviceNames()
        var table = Table("GROUP", "STATE", "COMPLETE", "KERNEL", "DEVICE", "DRIVER", "USE", "WHAT")
        for group in groups {
            for (number, member) in group.members.enumerated() {
                let first = number == 0
                table.add(
                    first ? group.id : "", first ? group.stateText : "",
                    first ? (group.complete ? "yes" : "no") : "",
                    first ? group.kernelGroups.map(String.init).joined(separator: ",") : "", member.address.text,
                    member.driver ?? "-", group.useWords(of: member.address), names.description(of: member))
            }
        }
        printLine(table.text)
        try await printRemarks(
            connection, claimed: groups.filter { $0.state == .claimed || $0.state == .degraded }.count)
    }

    /// What a table of groups does not tell: that it is a simulation, that nothing is isolated, what is in no group.
    private func printRemarks(_ connection: Connection, claimed: Int) async throws {
        let status: Manager.GetStatus.Reply = try decode(
            await connection.call(Manager.GetStatus.self, .init()))
        var remarks = status.remarks
        if status.simulated { remarks.append("this is a simulation: \(status.host)") }
        if status.ungroupedCount > 0 {
            remarks.append(
                "\(status.ungroupedCount) of \(status.deviceCount) devices are in no group (vfiogroupctl devices)")
        }
        if claimed > 0 {
            remarks.append("\(claimed) of \(status.groupCount) groups are claimed (vfiogroupctl claims)")
        }
        if !remarks.isEmpty { printLine() }
        for remark in remarks { printLine("note: \(remark)") }
    }
}

extension DeviceNames {
    func description(of member: Groups.Member) -> String {
        description(vendor: member.vendorId, device: member.deviceId, classCode: member.classCode)
    }
}
