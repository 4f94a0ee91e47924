// Engines that work for the kernel itself: crypto accelerators, and AMD's security processor, which has the keys of SEV
// guests. User space's users of either have nodes open, which are looked for anyway.

import EventLoop
import Host
import Inventory
import PCI

/// The crypto engines and security processors.
struct EngineUses: UseSource {
    /// An algorithm that is in use, by the folder of each engine whose driver may have brought it.
    var algorithms: [[String]: String] = [:]
    /// The folders of devices that the driver ccp has.
    var securityProcessors: [[String]] = []
    /// The folders of all engines.
    var engines: [[String]] = []
    /// /dev/sev: there is one, whichever processor it belongs to.
    var node: NodeNumber?
    /// How many guests the kernel counts; nil where it does not.
    var guests: Int?
    /// Why not all is known of engines.
    var unread: String?

    @LoopActor static func read(_ question: UseQuestion) async -> EngineUses {
        let reader = UseReader(below: question.host.root)
        let proc = ProcReader(below: question.host.root)
        var uses = EngineUses()
        // Encryption controllers; QuickAssist calls itself a coprocessor.
        uses.engines = question.subjects.map(\.path).filter { path in
            guard let code = reader.classCode(of: path) else { return false }
            return code.base == 0x10 || code.base == 0x0b && code.sub == 0x40
        }
        let crypto = uses.engines.isEmpty ? CryptoUsers() : CryptoUsers(proc.text("crypto") ?? "")
        for path in uses.engines {
            guard let driver = reader.driver(of: path) else { continue }
            if driver == "ccp" { uses.securityProcessors.append(path) }
            let module = reader.linkName("module", in: path + ["driver"])
            let modules = module.map { Self.related(to: $0, crypto.used.keys.sorted(), reader) } ?? []
            uses.algorithms[path] = modules.compactMap { crypto.used[$0] }.first
        }
        if !uses.securityProcessors.isEmpty {
            uses.node = reader.text("dev", in: ["class", "misc", "sev"]).flatMap { NodeNumber($0) }
            uses.guests = reader.text("misc.current", in: ["fs", "cgroup"]).map(guests)
        }
        uses.unread = reader.failure ?? proc.failure
        return uses
    }

    /// How many guests have keys: "sev 1", "sev_es 0" (kernel/cgroup/misc.c).
    static func guests(in text: String) -> Int {
        var count = 0
        for line in text.split(separator: "\n") where line.hasPrefix("sev") {
            guard let number = line.split(separator: " ").last else { continue }
            count += decimal(String(number)) ?? 0
        }
        return count
    }

    /// Those of the modules that bring algorithms for a driver: its own, one that it builds on (intel_qat of qat_4xxx),
    /// and one that builds on it (ccp_crypto on ccp).
    @LoopActor
    private static func related(to module: String, _ modules: [String], _ reader: UseReader) -> [String] {
        modules.filter { other in
            other == module || reader.names(["module", other, "holders"]).contains(module)
                || reader.names(["module", module, "holders"]).contains(other)
        }
    }

    func nodes(of subject: UseSubject) -> Set<NodeNumber> {
        securityProcessors.contains(subject.path) ? Set([node].compactMap { $0 }) : []
    }

    func kinds(of subject: UseSubject) -> [DeviceUse.Kind] {
        var kinds: [DeviceUse.Kind] = []
        if securityProcessors.contains(subject.path) {
            let openers = subject.openers.filter { opener in node.map(opener.nodes.contains) == true }
            kinds += openers.map { .secureGuests(who: "process \($0.process.pid) (\($0.command)) has /dev/sev open") }
            if let guests, guests > 0 { kinds.append(.secureGuests(who: "the kernel counts \(guests)")) }
        }
        if let algorithm = algorithms[subject.path] {
            kinds.append(
                .unknown(
                    reason: "the kernel uses \(algorithm) of its driver, and does not tell on which device"))
        }
        if let unread, engines.contains(subject.path) { kinds.append(.unknown(reason: unread)) }
        return kinds
    }
}
