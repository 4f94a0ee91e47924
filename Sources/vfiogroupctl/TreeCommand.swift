import ArgumentParser
import EventLoop
import GroupAPI
import Varlink

/// Shows the devices below their bridges, each with its group.
struct TreeCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "tree", abstract: "Show the devices below their host bridges, each with its group.")

    @ParentCommand var parent: Command
    @OptionGroup var own: CommonOptions

    func run(on connection: Connection) async throws {
        guard let devices = try await devices(on: connection) else { return }
        let reply = try await connection.list(Groups.ListGroups.self, .init(), "groups")
        let groups = Dictionary(
            try decode(reply, as: Groups.ListGroups.Reply.self).groups.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        let names = DeviceNames()
        var lines: [(tree: String, device: Groups.Device)] = []
        var children: [String: [Groups.Device]] = [:]
        let known = Set(devices.map(\.address.text))
        for device in devices {
            // A parent that is not listed would hide what is below it.
            let above = device.parent.flatMap { known.contains($0.text) ? $0.text : nil }
            children[above ?? device.hostBridge ?? "other buses", default: []].append(device)
        }
        func add(below parent: String, indent: String) {
            // Taken out first: a parent that is its own descendant must not be followed for ever.
            guard let devices = children.removeValue(forKey: parent) else { return }
            for (number, device) in devices.enumerated() {
                let isLast = number == devices.count - 1
                lines.append((indent + (isLast ? "└─ " : "├─ ") + device.address.text, device))
                add(below: device.address.text, indent: indent + (isLast ? "   " : "│  "))
            }
        }
        let roots = Set(devices.map { $0.hostBridge ?? "other buses" })
        for root in roots.sorted(by: { ($0.utf8.count, $0) < ($1.utf8.count, $1) }) {
            lines.removeAll()
            add(below: root, indent: "")
            printLine(root)
            var table = Table()
            for line in lines {
                let group = line.device.group.flatMap { groups[$0] }
                let isInUse = group?.stateText == "in use"
                table.add(
                    line.tree, (line.device.group ?? "in no group") + (isInUse ? " (in use)" : ""),
                    line.device.driver ?? "-", group?.useWords(of: line.device.address) ?? "-",
                    names.description(
                        vendor: line.device.vendorId, device: line.device.deviceId, classCode: line.device.classCode))
            }
            printLine(table.text)
        }
    }
}
