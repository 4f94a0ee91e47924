import ArgumentParser
import EventLoop
import GroupAPI
import Varlink

/// Lists all devices, those in no group too.
struct DevicesCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "devices", abstract: "List all devices, those in no group too.")

    @ParentCommand var parent: Command
    @OptionGroup var own: CommonOptions

    func run(on connection: Connection) async throws {
        guard let devices = try await devices(on: connection) else { return }
        let names = DeviceNames()
        var table = Table("DEVICE", "GROUP", "STATE", "DRIVER", "IOMMU", "NODE", "ACS", "WHAT")
        for device in devices {
            table.add(
                device.address.text, device.group ?? "-", device.state.rawValue, device.driver ?? "-",
                device.iommu ?? "-", device.numaNode.map(String.init) ?? "-", accessControl(of: device),
                names.description(vendor: device.vendorId, device: device.deviceId, classCode: device.classCode))
        }
        printLine(table.text)
        let ungrouped = devices.filter { $0.group == nil }
        if !ungrouped.isEmpty { printLine("\nIn no group:") }
        for device in ungrouped { printLine("  \(device.address.text): \(device.reason ?? "unknown")") }
    }

    private func accessControl(of device: Groups.Device) -> String {
        if let control = device.accessControl {
            return "\(hexadecimal(control.capability, width: 2))/\(hexadecimal(control.control, width: 2))"
        }
        return device.unknown?.contains { $0.field == "accessControl" } == true ? "?" : "-"
    }
}
