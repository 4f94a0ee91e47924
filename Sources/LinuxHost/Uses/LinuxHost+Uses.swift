// What the host itself uses of its devices, looked up when somebody asks for them.

import EventLoop
import Files
import Glibc
import Host
import Inventory
import PCI

extension LinuxHost {
    public func uses(of devices: [DeviceAddress]) async -> [DeviceUse] {
        func unknown(_ reason: String) -> [DeviceUse] { devices.map { DeviceUse($0, .unknown(reason: reason)) } }
        guard isWritable else { return unknown(HostError.notLive(name: name).description) }
        do throws(SystemError) {
            if let reason = Viewpoint.doubt(try Directory(path: joined("proc"))) { return unknown(reason) }
        } catch { return unknown("/proc cannot be opened: \(errorText(error.errno))") }
        let sys: Directory
        do throws(SystemError) { sys = try Directory(path: joined("sys")) } catch {
            return unknown("/sys cannot be opened: \(errorText(error.errno))")
        }
        var subjects: [UseSubject] = []
        var unseen: [DeviceUse] = []
        for (number, device) in devices.enumerated() {
            // A host may have thousands, with a hundred folders each; clients wait meanwhile.
            if number % 16 == 15 { await EventLoop.main.yield() }
            do throws(SystemError) {
                // What is not there is not used.
                guard let path = try sysfsPath(of: device)?.components else { continue }
                subjects.append(try UseSubject(device, at: path, sys))
            } catch {
                let reason = "what it has in /sys cannot be read: \(errorText(error.errno))"
                unseen.append(DeviceUse(device, .unknown(reason: reason)))
            }
        }
        let question = UseQuestion(host: self, subjects: subjects, mounts: await MountFacts(below: root))
        var sources: [any UseSource] = []
        for source in UseSources.all { sources.append(await source.read(question)) }
        do throws(HostError) { try await findOpeners(of: &subjects, sources) } catch {
            return unknown("who has its nodes open cannot be found out: \(error)")
        }
        return unseen
            + subjects.flatMap { subject in
                var uses: [DeviceUse] = []
                for kind in sources.flatMap({ $0.kinds(of: subject) }) + subject.doubts
                where !uses.contains(where: { $0.kind == kind }) {
                    uses.append(DeviceUse(subject.device, kind))
                }
                return uses
            }
    }

    /// Finds out who has open the nodes of devices, those in sysfs and those that sources name.
    private func findOpeners(of subjects: inout [UseSubject], _ sources: [any UseSource]) async throws(HostError) {
        let nodes = subjects.map { subject in
            sources.reduce(into: Set(subject.nodes.keys)) { $0.formUnion($1.nodes(of: subject)) }
        }
        let all = nodes.reduce(into: Set<NodeNumber>()) { $0.formUnion($1) }
        guard !all.isEmpty else { return }
        let open = try await OpenNodes(of: all, below: root)
        for index in subjects.indices {
            subjects[index].openers = open.holders.filter { !$0.nodes.isDisjoint(with: nodes[index]) }
            if !nodes[index].isEmpty, let unseen = open.unseenText {
                subjects[index].doubts.append(.unknown(reason: unseen))
            }
        }
    }

    /// Whether the kernel speaks IPv6, which `ipv6.disable=1` takes away; true where that cannot be seen.
    var hasIPv6: Bool {
        access(joined("proc/sys/net"), F_OK) != 0 || access(joined("proc/sys/net/ipv6"), F_OK) == 0
    }

    /// Why what the kernel tells of the network is not told of the host's; nil where it is.
    func otherNetworkReason() -> String? {
        guard let proc = try? Directory(path: joined("proc")), let own = try? proc.link("self/ns/net"),
            let host = try? proc.link("1/ns/net")
        else { return nil }
        return own == host
            ? nil : "the daemon is in another network namespace than process 1: run it in the host's (--network=host)"
    }
}
