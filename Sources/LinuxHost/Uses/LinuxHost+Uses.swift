// What the host itself uses of its devices, looked up when somebody asks for them.

import Files
import Glibc
import Host
import Inventory
import PCI

extension LinuxHost {
    public func uses(of devices: [DeviceAddress]) async -> [DeviceUse] {
        func unknown(_ reason: String) -> [DeviceUse] { devices.map { DeviceUse($0, .unknown(reason: reason)) } }
        guard isWritable else { return unknown(HostError.notLive(name: name).description) }
        guard let sys = try? Directory(path: joined("sys")) else { return unknown("/sys cannot be opened") }
        var use = HostUse()
        use.readBlocks(sys)
        use.readInterfaces(sys)
        use.readRoutes(below: root)
        use.readConsoles(sys)
        await use.readMounts(below: root)
        if let reason = use.unlisted { return unknown(reason) }

        var subjects: [HostUse.Subject] = []
        var nodesOf: [DeviceAddress: Set<NodeNumber>] = [:]
        for device in devices {
            let found: SysfsPath?
            do throws(SystemError) { found = try sysfsPath(of: device) } catch {
                return unknown("where \(device) is in /sys cannot be read: \(errorText(error.errno))")
            }
            // What is not there is not used.
            guard let path = found?.components else { continue }
            let isBootDisplay = (try? sys.text((path + ["boot_vga"]).joined(separator: "/"))) == "1"
            subjects.append(HostUse.Subject(device: device, path: path, isBootDisplay: isBootDisplay))
            nodesOf[device] = nodes(ofDeviceAt: path, sys)
        }
        let all = nodesOf.values.reduce(into: Set<NodeNumber>()) { $0.formUnion($1) }
        if !all.isEmpty {
            let open: OpenNodes
            do throws(HostError) { open = try await OpenNodes(of: all, below: root) } catch {
                return unknown("who has its nodes open cannot be found out: \(error)")
            }
            for index in subjects.indices {
                let own = nodesOf[subjects[index].device] ?? []
                subjects[index].openers = open.holders.filter { !$0.nodes.isDisjoint(with: own) }
                    .map { ($0.process.pid, $0.command) }
            }
        }
        return use.uses(of: subjects)
    }
}
