// Who computes with AMD's GPUs through ROCm: all of them open the one node /dev/kfd, and /sys/class/kfd/kfd/proc/PID
// tells on which GPUs a process has memory (vram_GPU) and queues (queues/N/gpuid), since Linux 5.8
// (drivers/gpu/drm/amd/amdkfd/kfd_process.c).

import EventLoop
import Host
import Inventory
import PCI

/// The GPUs of the KFD driver and who uses them.
struct ComputeUses: UseSource {
    /// What a process has on GPUs.
    struct Process: Equatable, Sendable {
        var gpus: Set<UInt64> = []
    }

    /// The number that the driver calls a GPU by, by the GPU's address.
    var gpus: [PCIAddress: UInt64] = [:]
    /// /dev/kfd
    var node: NodeNumber?
    /// The processes that the driver tells of.
    var processes: [Int32: Process] = [:]
    /// The driver is too old to tell of processes.
    var tellsNoProcesses = false
    /// Why not all is known.
    var unread: String?

    private static let folder = ["class", "kfd", "kfd"]

    @LoopActor static func read(_ question: UseQuestion) async -> ComputeUses {
        let reader = UseReader(below: question.host.root)
        var uses = ComputeUses()
        let nodes = folder + ["topology", "nodes"]
        for name in reader.names(nodes) {
            // A CPU has 0.
            guard let id = reader.text("gpu_id", in: nodes + [name]).flatMap({ decimal($0) }), id > 0,
                let text = reader.text("properties", in: nodes + [name]), let address = address(inProperties: text)
            else { continue }
            uses.gpus[address] = UInt64(id)
        }
        uses.node = reader.text("dev", in: folder).flatMap { NodeNumber($0) }
        if !uses.gpus.isEmpty { uses.readProcesses(reader) }
        uses.unread = reader.failure
        return uses
    }

    @LoopActor
    private mutating func readProcesses(_ reader: UseReader) {
        tellsNoProcesses = !reader.names(Self.folder).contains("proc")
        let folder = Self.folder + ["proc"]
        for name in reader.names(folder) {
            guard let pid = decimal(name).flatMap({ Int32(exactly: $0) }) else { continue }
            var process = Process()
            for entry in reader.names(folder + [name]) where entry.hasPrefix("vram_") {
                guard let gpu = decimal(String(entry.dropFirst("vram_".count))),
                    let size = reader.text(entry, in: folder + [name]), size != "0"
                else { continue }
                process.gpus.insert(UInt64(gpu))
            }
            let queues = folder + [name, "queues"]
            for queue in reader.names(queues) {
                guard let gpu = reader.text("gpuid", in: queues + [queue]).flatMap({ decimal($0) }) else { continue }
                process.gpus.insert(UInt64(gpu))
            }
            processes[pid] = process
        }
    }

    /// The GPU of a node of the topology: `domain` and `location_id`, which is bus and function.
    static func address(inProperties text: String) -> PCIAddress? {
        var values: [Substring: Int] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, let value = decimal(String(words[1])) { values[words[0]] = value }
        }
        // There is no domain in old kernels, which have GPUs of domain 0 alone.
        guard let location = values["location_id"], location <= 0xffff,
            let domain = UInt32(exactly: values["domain"] ?? 0)
        else { return nil }
        return PCIAddress(
            domain: domain, bus: UInt8(location >> 8), device: UInt8(location >> 3 & 0x1f),
            function: UInt8(location & 7))
    }

    func nodes(of subject: UseSubject) -> Set<NodeNumber> {
        gpu(of: subject) == nil ? [] : Set([node].compactMap { $0 })
    }

    func kinds(of subject: UseSubject) -> [DeviceUse.Kind] {
        guard let gpu = gpu(of: subject) else { return unreadKinds(of: subject) }
        let openers = subject.openers.filter { opener in node.map(opener.nodes.contains) == true }
        // A child that was left the descriptor has nothing of its own on any GPU, and is not listed.
        let own = openers.filter { tellsNoProcesses || processes[$0.process.pid]?.gpus.contains(gpu) == true }
        return own.map { .computing(pid: $0.process.pid, command: $0.command) } + unreadKinds(of: subject)
    }

    private func gpu(of subject: UseSubject) -> UInt64? { subject.device.pci.flatMap { gpus[$0] } }

    /// What could not be read may concern every device that has a node of DRM.
    private func unreadKinds(of subject: UseSubject) -> [DeviceUse.Kind] {
        guard let unread, subject.nodes.values.contains(where: { $0.contains("drm") }) else { return [] }
        return [.unknown(reason: unread)]
    }
}
