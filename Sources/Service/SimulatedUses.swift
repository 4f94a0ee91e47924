// What a simulated machine is said to use its devices for: kinds by their words in the API, each with a name where it has
// one, and the rest made up.

import Host

extension DeviceUse.Kind {
    /// The words of the kinds that can be said of a machine. Others follow from it.
    static let simulatedWords = [
        "mounted", "swap", "stacked", "part", "fileSystem", "exported", "volumeGroup", "path", "sameDisk", "address",
        "route", "port", "upper", "otherNetwork", "remoteStorage", "ipoib", "iscsi", "fibreChannel", "vdpa", "linkUp",
        "bootDisplay", "graphicsClient", "nvidiaControl", "nvidiaConsole", "computing", "mediatedDevices",
        "memoryOnline", "secureGuests", "sound", "attended", "kernelConsole", "onlyKeyboard", "watchdog", "routed",
        "open", "unknown",
    ]

    /// A use of the kind with this word; nil for a word that is not among `simulatedWords`.
    ///
    /// - Parameters:
    ///   - word: as in `DeviceUse.Rule`.
    ///   - name: what of the kind has a name, such as its interface; made up where it is nil.
    init?(simulated word: String, name: String?) {
        guard let kind = Self.storage(word, name) ?? Self.network(word, name) ?? Self.rest(word, name) else {
            return nil
        }
        self = kind
    }

    private static func storage(_ word: String, _ name: String?) -> Self? {
        switch word {
        case "mounted": .mounted(at: name ?? "/srv", via: "sda1")
        case "swap": .swap(via: name ?? "sda2")
        case "stacked": .stacked(holder: name ?? "dm-0")
        case "part": .part(role: "log device", of: "the XFS file system at \(name ?? "/srv")", via: "sda1")
        case "fileSystem": .fileSystem(type: name ?? "ext4", via: "sda1")
        case "exported": .exported(by: name ?? "nvmet", via: "sda")
        case "volumeGroup": .volumeGroup(name ?? "vg", via: "sda1")
        case "path": .path(to: name ?? "mpatha", others: ["sdb"])
        case "sameDisk": .sameDisk(as: name ?? "sdb", use: "is mounted at /srv", via: "sda")
        default: nil
        }
    }

    private static func network(_ word: String, _ name: String?) -> Self? {
        switch word {
        case "address": .address("192.0.2.1", interface: name ?? "eth0")
        case "route": .route(to: "default", interface: name ?? "eth0")
        case "port": .port(interface: "eth0", of: name ?? "bond0")
        case "upper": .upper(interface: "eth0", upper: name ?? "eth0.7")
        case "otherNetwork": .otherNetwork
        case "remoteStorage": .remoteStorage(name ?? "/srv (nfs4 from 192.0.2.5)", interface: "eth0")
        case "ipoib": .ipOverInfiniBand(interface: name ?? "ib0")
        case "iscsi": .iSCSISession(name ?? "session1", target: nil)
        case "fibreChannel": .fibreChannel(port: name ?? "host5", targets: 2)
        case "vdpa": .vDPA(name ?? "vdpa0", driver: nil)
        case "linkUp": .linkUp(interface: name ?? "eth0")
        default: nil
        }
    }

    private static func rest(_ word: String, _ name: String?) -> Self? {
        switch word {
        case "bootDisplay": .bootDisplay
        case "graphicsClient": .graphicsClient(pid: 4711, command: name ?? "Xorg", nodes: "card0")
        case "nvidiaControl": .nvidiaControl(pid: 4711, command: name ?? "nvidia-persiste")
        case "nvidiaConsole": .nvidiaConsole(version: name)
        case "computing": .computing(pid: 4711, command: name ?? "python3")
        case "mediatedDevices": .mediatedDevices(count: 1)
        case "memoryOnline": .memoryOnline(region: name ?? "region0", blocks: 8)
        case "secureGuests": .secureGuests(who: name ?? "1 guest")
        case "sound": .sound(stream: name ?? "pcm0p")
        case "attended": .attended(pid: 4711, command: name ?? "pipewire", what: "a sound card")
        case "kernelConsole": .kernelConsole(terminal: name ?? "ttyS4")
        case "onlyKeyboard": .onlyKeyboard(name: name ?? "USB Keyboard")
        case "watchdog": .watchdog(name: name ?? "watchdog0")
        case "routed": .routed(device: name ?? "0-1")
        case "open": .open(pid: 4711, command: name ?? "spdk_tgt")
        case "unknown": .unknown(reason: name ?? "it was said so")
        default: nil
        }
    }
}
