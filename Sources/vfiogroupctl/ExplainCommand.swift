import ArgumentParser
import EventLoop
import GroupAPI
import JSON
import Varlink

/// Says why devices are together, or why they are not.
struct ExplainCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Say why the devices of a group are together, or why two devices are, or are not.")

    @ParentCommand var parent: Command
    @OptionGroup var own: CommonOptions

    @Argument(help: Subject.help) var name: String

    @Argument(help: ArgumentHelp("A second device, where the first is one.", valueName: "address"))
    var other: String?

    func run(on connection: Connection) async throws {
        let subject = Subject(typed: name)
        let second = try other.map { text in
            guard subject.device != nil, let address = try? Groups.DeviceAddress(typed: text) else {
                throw Complaint(
                    description: "\"\(subject.device == nil ? name : text)\" is no device: of two, both must be; "
                        + "give PCI addresses, or BUS/NAME")
            }
            return address
        }
        let reply = try await connection.call(
            Groups.Explain.self,
            .init(id: subject.id, device: subject.device, kernelGroup: subject.kernelGroup, other: second))
        if common.json { return printJSON(reply) }
        show(try decode(reply, as: Groups.Explain.Reply.self))
    }

    private func show(_ explanation: Groups.Explain.Reply) {
        printLine(explanation.summary)
        printSection("Why", explanation.edges.map(\.sentence))
        printSection(
            explanation.together ? "What keeps it apart" : "What keeps them apart", explanation.findings.map(\.sentence)
        )
        printSection("Would take them apart", explanation.splitting)
        printSection("Would not", explanation.futile)
        printSection("To be known", explanation.remarks)
        if explanation.agreement == .confirmed { printLine("\nThe kernel's groups and its rules agree here.") }
    }
}
