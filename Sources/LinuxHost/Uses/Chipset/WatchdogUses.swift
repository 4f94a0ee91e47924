// Watchdogs that run: whoever takes the device of one takes it from who feeds it, and the machine resets a little later
// (Documentation/ABI/testing/sysfs-class-watchdog).

import EventLoop
import Host

/// The watchdogs of devices.
struct WatchdogUses: UseSource {
    /// The names of those that run, by their folders: what they call themselves, and the node.
    var running: [[String]: String] = [:]
    /// The folders of all.
    var watchdogs: [[String]] = []
    /// Why not all is known.
    var unread: String?

    @LoopActor static func read(_ question: UseQuestion) async -> WatchdogUses {
        let reader = UseReader(below: question.host.root)
        var uses = WatchdogUses()
        for (name, path) in reader.devices("class/watchdog") {
            uses.watchdogs.append(path)
            // Kernels without CONFIG_WATCHDOG_SYSFS tell no state; who feeds it has the node open.
            guard reader.text("state", in: path) == "active" else { continue }
            uses.running[path] = reader.text("identity", in: path).map { "\($0) (\(name))" } ?? name
        }
        uses.unread = reader.failure
        return uses
    }

    func kinds(of subject: UseSubject) -> [DeviceUse.Kind] {
        var kinds: [DeviceUse.Kind] = running.filter { subject.has($0.key) }.values.sorted().map { .watchdog(name: $0) }
        if let unread, watchdogs.contains(where: subject.has) { kinds.append(.unknown(reason: unread)) }
        return kinds
    }
}
