// The memory of boots, in the state directory: groups.json is this boot's, groups-before.json the one's before. The first
// start of a boot makes the one the other; later starts find both. accepted.json has the devices that were accepted in this
// boot in the place of others.

import EventLoop
import Files
import Glibc
import JSON
import Registry

/// Keeps what was known of the last boot.
public struct BootMemory: Sendable {
    /// The folder.
    public let path: String

    /// The version of the files' form.
    static let version: Int64 = 1
    /// A host of 10,000 devices takes about 2 MB.
    private static let limit = 64 << 20

    public init(path: String) { self.path = path }

    private var current: String { path + "/groups.json" }
    private var previous: String { path + "/groups-before.json" }
    private var acceptances: String { path + "/accepted.json" }

    /// Takes up what was kept, and returns the boot before this one; nil where none is known. A file that cannot be used
    /// counts as none, and is told.
    func previousBoot(than bootID: String, onProblem: (String) -> Void) throws(FileFailure) -> RememberedBoot? {
        try makeFolder(path, mode: 0o700)
        if let kept = try read(current, onProblem), kept.bootID != bootID, rename(current, previous) != 0 {
            throw FileFailure(path: current, call: "rename", errno: errno)
        }
        return try read(previous, onProblem)
    }

    /// Puts this boot on record, in the place of what was known of it before.
    func save(_ boot: RememberedBoot) throws(FileFailure) {
        var writer = JSONWriter()
        boot.write(to: &writer)
        try replaceFile(current, with: writer.bytes, mode: 0o600, lasting: true)
    }

    /// The identities of the devices that were accepted in a boot in the place of others, by place.
    func accepted(inBoot bootID: String, onProblem: (String) -> Void) throws(FileFailure) -> [String: String] {
        guard let value = try readValue(acceptances, onProblem) else { return [:] }
        guard value["version"] == .int(Self.version), let boot = value["bootId"]?.text,
            case .object(let devices)? = value["devices"]
        else {
            onProblem("\(acceptances) is not of the form that this daemon writes, and is passed over")
            return [:]
        }
        guard boot == bootID else { return [:] }
        return Dictionary(
            devices.members.compactMap { member in member.value.text.map { (member.key, $0) } },
            uniquingKeysWith: { $1 })
    }

    /// Puts on record what was accepted in a boot. It is of use in that boot alone, so that nobody waits for the disk.
    func save(accepted: [String: String], inBoot bootID: String) throws(FileFailure) {
        var writer = JSONWriter()
        writer.object { writer in
            writer.key("version")
            writer.value(Self.version)
            writer.key("bootId")
            writer.value(bootID)
            writer.key("devices")
            writer.object { writer in
                for (place, identity) in accepted.sorted(by: { $0.key < $1.key }) {
                    writer.key(place)
                    writer.value(identity)
                }
            }
        }
        try replaceFile(acceptances, with: writer.bytes, mode: 0o600)
    }

    private func read(_ file: String, _ onProblem: (String) -> Void) throws(FileFailure) -> RememberedBoot? {
        guard let value = try readValue(file, onProblem) else { return nil }
        guard let boot = RememberedBoot(reading: value) else {
            onProblem("\(file) is not of the form that this daemon writes, and is passed over")
            return nil
        }
        return boot
    }

    private func readValue(_ file: String, _ onProblem: (String) -> Void) throws(FileFailure) -> JSONValue? {
        guard let bytes = try readFile(file, limit: Self.limit) else { return nil }
        do throws(JSONSyntaxError) {
            return try JSONValue(parsing: String(decoding: bytes, as: UTF8.self), limits: .lenient)
        } catch {
            onProblem("\(file) is no JSON (\(error.reason) at byte \(error.offset)), and is passed over")
            return nil
        }
    }
}

extension RememberedBoot {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.key("version")
            writer.value(BootMemory.version)
            writer.key("bootId")
            writer.value(bootID)
            if let kernel {
                writer.key("kernel")
                writer.value(kernel)
            }
            writer.key("parameters")
            writer.array { writer in for parameter in parameters { writer.value(parameter) } }
            writer.key("groups")
            writer.array { writer in for group in groups { group.write(to: &writer) } }
        }
    }

    /// nil for anything but what `write` writes.
    init?(reading value: JSONValue) {
        guard value["version"] == .int(BootMemory.version), let bootID = value["bootId"]?.text,
            let parameters = value["parameters"]?.texts, case .array(let list)? = value["groups"]
        else { return nil }
        var groups: [Group] = []
        for element in list {
            guard let group = Group(reading: element) else { return nil }
            groups.append(group)
        }
        self.init(bootID: bootID, kernel: value["kernel"]?.text, parameters: parameters, groups: groups)
    }
}

extension RememberedBoot.Group {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.key("id")
            writer.value(id)
            writer.key("backend")
            writer.value(backend)
            writer.key("kernelGroups")
            writer.array { writer in for number in kernelGroups { writer.value(Int64(number)) } }
            writer.key("members")
            writer.array { writer in
                for member in members {
                    writer.object { writer in
                        writer.key("place")
                        writer.value(member.place)
                        writer.key("address")
                        writer.value(member.address)
                        if let identity = member.identity {
                            writer.key("identity")
                            writer.value(identity)
                        }
                    }
                }
            }
        }
    }

    fileprivate init?(reading value: JSONValue) {
        guard let id = value["id"]?.text, let backend = value["backend"]?.text,
            case .array(let numbers)? = value["kernelGroups"], case .array(let list)? = value["members"]
        else { return nil }
        var members: [RememberedBoot.Member] = []
        for element in list {
            guard let place = element["place"]?.text, let address = element["address"]?.text else { return nil }
            members.append(.init(place: place, address: address, identity: element["identity"]?.text))
        }
        let kernelGroups = numbers.compactMap { if case .int(let number) = $0 { Int(number) } else { nil } }
        self.init(id: id, backend: backend, kernelGroups: kernelGroups, members: members)
    }
}

extension JSONValue {
    fileprivate var text: String? { if case .string(let text) = self { text } else { nil } }

    fileprivate var texts: [String]? {
        guard case .array(let elements) = self else { return nil }
        let texts = elements.compactMap(\.text)
        return texts.count == elements.count ? texts : nil
    }
}
