import ArgumentParser
import EventLoop
import GroupAPI
import Varlink

/// Plugs a device into the simulated machine.
struct SimulateHotplug: SimulationCommand {
    static let configuration = CommandConfiguration(
        commandName: "hotplug", abstract: "Plug a new PCI function in.",
        discussion: """
            It sits at an address of a bus that is there: one that other functions are on, or that is behind a bridge. \
            Unless told otherwise it is an Ethernet controller that no driver is for.
            """)

    @ParentCommand var above: SimulateCommand
    @OptionGroup var own: CommonOptions

    @Argument(help: ArgumentHelp("Where it sits.", valueName: "address"))
    var device: String

    @Option(
        help: ArgumentHelp("The group that it joins: its identity, or one of its devices.", valueName: "group"))
    var into: String?

    @Option(
        help: ArgumentHelp(
            "The bridge that it sits behind; whether it has a group of its own is that bridge's affair.",
            valueName: "port"))
    var behind: String?

    @Option(help: "The host driver that a probe finds for it.")
    var driver: String?

    @Option(name: .customLong("class"), help: ArgumentHelp("Its class code: four or six digits.", valueName: "hex"))
    var classCode: String?

    @Option(help: ArgumentHelp("Its vendor ID.", valueName: "hex"))
    var vendor: String?

    @Option(name: .customLong("device"), help: ArgumentHelp("Its device ID.", valueName: "hex"))
    var deviceID: String?

    func validate() throws {
        guard (into == nil) != (behind == nil) else { throw ValidationError("give either --into or --behind") }
    }

    func run(on connection: Connection) async throws {
        // The IDs are typed and read as those of a selector.
        let typed = [("class", classCode), ("vendor", vendor), ("device", deviceID)].compactMap { key, value in
            value.map { "\(key)=\($0)" }
        }
        let ids = typed.isEmpty ? nil : try Claims.Selector(typed: typed.joined(separator: ","))
        var group: String?
        if let into { group = try await connection.groupIdentity(into) }
        let reply = try await connection.call(
            Simulation.Plug.self,
            .init(
                device: try .init(typed: device), group: group,
                port: try behind.map { (port) throws(Complaint) in try Simulation.DeviceAddress(typed: port) },
                driver: driver, vendorId: ids?.vendorId, deviceId: ids?.deviceId, classCode: ids?.classCode))
        if common.json { return printJSON(reply) }
        let plugged = try decode(reply, as: Simulation.Plug.Reply.self)
        printLine(
            "\(device) is in \(plugged.kernelGroup.map { "kernel group \($0)" } ?? "no kernel group"), with "
                + (plugged.driver.map { "the driver \($0)" } ?? "no driver"))
    }
}

/// Pulls a device out of the simulated machine.
struct SimulateUnplug: SimulationCommand {
    static let configuration = CommandConfiguration(
        commandName: "unplug", abstract: "Pull a device out, with all that sits behind it; a rescan does not find it.")

    @ParentCommand var above: SimulateCommand
    @OptionGroup var own: CommonOptions
    @Argument var device: String

    func run(on connection: Connection) async throws {
        finish(try await connection.call(Simulation.Unplug.self, .init(device: try .init(typed: device))))
    }
}
