import ArgumentParser
import EventLoop
import GroupAPI
import Varlink

/// Tells how the daemon is and what it found odd.
struct StatusCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Tell how the daemon is, and what it found odd about the host.")

    @ParentCommand var parent: Command
    @OptionGroup var own: CommonOptions

    func run(on connection: Connection) async throws {
        let reply = try await connection.call(Manager.GetStatus.self, .init())
        if common.json { return printJSON(reply) }
        let status: Manager.GetStatus.Reply = try decode(reply)
        printLine("daemon      vfiogroupd \(status.version) at \(connection.socket)")
        printLine("host        \(status.host)\(status.simulated ? " (a simulation)" : "")")
        printLine("kernel      \(status.kernelRelease ?? "unknown")")
        printLine(
            "groups      \(status.groupCount), \(status.isolating ? "isolated by an IOMMU" : "isolated by nothing")")
        printLine("devices     \(status.deviceCount), \(status.ungroupedCount) of them in no group")
        printLine("generation  \(status.generation)")
        printLine()
        var table = Table("HOST BRIDGE", "BACKEND", "WHY")
        for bridge in status.hostBridges { table.add(bridge.id, bridge.backend.rawValue, bridge.reason) }
        printLine(table.text)
        if !status.reservations.isEmpty {
            var table = Table("RESERVATION", "OF", "STATE", "CLAIM", "WHY")
            for reservation in status.reservations {
                table.add(
                    reservation.name, reservation.group ?? reservation.device?.name ?? "", reservation.state.rawValue,
                    reservation.claim ?? "-", (reservation.reason ?? "").printable)
            }
            printLine("\n\(table.text)")
            printSection(
                "Would help",
                status.reservations.compactMap { reservation in
                    reservation.remedy.map { "\(reservation.name): \($0.printable)" }
                })
        }
        printSection("Remarks", status.remarks)
        printSection("Backend and kernel disagree", status.disagreements.map { "\($0.group): \($0.explanation)" })
        if let last = status.lastBoot {
            printSection(
                "Since the last boot" + (last.kernelRelease.map { " (kernel \($0))" } ?? ""),
                last.changes.map { $0.sentence + ($0.cause.map { " (\($0))" } ?? "") })
        }
        printSection(
            "Odd",
            status.warnings.map { warning in
                let place = warning.offset.map { " at config offset 0x\(hexadecimal($0, width: 2))" } ?? ""
                return (warning.device.map { "\($0.text)\(place): " } ?? "")
                    + warning.message
            })
    }
}
