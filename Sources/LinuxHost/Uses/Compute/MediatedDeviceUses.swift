// Mediated devices: parts of a device that its host driver lends out (vGPUs, I/O subchannels). Without the driver there
// are none, and the kernel waits for whoever has one open (drivers/vfio/mdev/mdev_core.c: mdev_unregister_parent).

import EventLoop
import Host

/// The devices that have mediated devices, with how many.
struct MediatedDeviceUses: UseSource {
    /// By the folder of the parent.
    var children: [[String]: Int] = [:]
    /// Why not all is known of the devices that can have some.
    var unread: [[String]: String] = [:]

    @LoopActor static func read(_ question: UseQuestion) async -> MediatedDeviceUses {
        var uses = MediatedDeviceUses()
        for path in question.subjects.map(\.path) {
            let reader = UseReader(below: question.host.root)
            let entries = reader.names(path)
            if entries.contains("mdev_supported_types") {
                // A child's folder is its UUID, and has a link to its type.
                let count = entries.count { isUUID($0) && reader.names(path + [$0]).contains("mdev_type") }
                if count > 0 { uses.children[path] = count }
            }
            if let failure = reader.failure { uses.unread[path] = failure }
        }
        return uses
    }

    /// 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
    static func isUUID(_ name: String) -> Bool {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        return parts.map(\.count) == [8, 4, 4, 4, 12] && parts.allSatisfy { $0.allSatisfy(\.isHexDigit) }
    }

    func kinds(of subject: UseSubject) -> [DeviceUse.Kind] {
        var kinds: [DeviceUse.Kind] = children[subject.path].map { [.mediatedDevices(count: $0)] } ?? []
        if let reason = unread[subject.path] { kinds.append(.unknown(reason: reason)) }
        return kinds
    }
}
