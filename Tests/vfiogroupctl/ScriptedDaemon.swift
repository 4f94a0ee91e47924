// A daemon that replies what a test says, and claims to say it about.

import EventLoop
import Glibc
import GroupAPI
import JSON
import Testing
import TestSupport
import Varlink

/// A server of the API's interfaces in this process, whose methods a test answers.
@LoopActor
final class ScriptedDaemon {
    /// The calls that came, as `METHOD PARAMETERS`.
    private(set) var calls: [String] = []
    let server = VarlinkServer(.init(vendor: "v", product: "p", version: "1", url: "u"))
    private let folder = TemporaryFolder()
    var socket: String { folder.path + "/socket" }

    init() throws {
        for interface in [Claims.interface, Groups.interface, Manager.interface] { server.add(interface) }
        try server.listen(path: folder.path + "/socket")
    }

    /// Has a method answered.
    func on<Method: VarlinkMethod>(
        _ method: Method.Type,
        _ answer: @escaping @LoopActor (Call<Method>) async throws(ErrorReply) -> Method.Reply
    ) {
        server.handle(method) { [unowned self] (call) async throws(ErrorReply) in
            var writer = JSONWriter()
            call.parameters.write(to: &writer)
            let name = Method.name.split(separator: ".").last ?? ""
            calls.append("\(name) \(String(decoding: writer.bytes, as: UTF8.self))")
            return try await answer(call)
        }
    }

    /// Has a method fail.
    func fail<Method: VarlinkMethod>(_ method: Method.Type, _ failure: Claims.Failure) {
        on(method) { (_) async throws(ErrorReply) in throw ErrorReply(failure) }
    }

    /// Runs vfiogroupctl on its socket.
    func control(_ arguments: String...) async throws -> Program.Outcome {
        try await Program.run("vfiogroupctl", ["--socket", socket] + arguments)
    }

    /// Starts vfiogroupctl on its socket.
    func start(_ arguments: String...) throws -> Program {
        try Program("vfiogroupctl", ["--socket", socket] + arguments)
    }

    func stop() async { await server.stop(within: .milliseconds(100)) }
}

/// The reading end of a pipe that holds a text.
func pipe(holding text: String) throws -> Descriptor {
    var ends: [Int32] = [-1, -1]
    try #require(pipe(&ends) == 0)
    let bytes = Array(text.utf8)
    #expect(write(ends[1], bytes, bytes.count) == bytes.count)
    close(ends[1])
    return Descriptor(owning: ends[0])
}

let card = Claims.DeviceAddress(bus: "pci", name: "0000:01:00.0")
let sound = Claims.DeviceAddress(bus: "pci", name: "0000:01:00.1")
let cardGroup = "pci0000-00_01.0_00.0"

extension Claims.ClaimStatus {
    /// A claim of a graphics card and its audio function.
    static func ofCard(_ state: Claims.ClaimState = .claimed, lifetime: Claims.Lifetime = .manual) -> Self {
        Self(
            id: "c1", name: "vm1", state: state, owner: .init(uid: 1000, gid: 1000, pid: 4711, command: "qemu"),
            since: "2026-01-02T03:04:05Z", lifetime: lifetime, access: .hold,
            groups: [
                .init(
                    id: cardGroup, state: state, kernelGroups: [2], owned: true,
                    members: [
                        .init(address: card, driverBefore: "nouveau", driver: "vfio-pci", vfioDriver: "vfio-pci"),
                        .init(address: sound, driver: "vfio-pci", vfioDriver: "vfio-pci"),
                    ])
            ],
            ranges: [], unownedMoments: [])
    }

    /// The same on its way back.
    static func released(_ state: Claims.ClaimState = .released) -> Self {
        var claim = Self.ofCard(state)
        claim.groups[0].members[0].driver = "nouveau"
        claim.groups[0].members[0].reset = .reset
        claim.groups[0].members[1].driver = nil
        claim.groups[0].members[1].reset = .notReset
        claim.groups[0].members[1].resetReason = "the kernel knows no way to reset it"
        return claim
    }
}

extension Claims.Progress {
    static let unbinding = Self(
        group: cardGroup,
        operation: .init(action: "unbind", step: 3, steps: 12, member: card, seconds: 0.5, blocked: false))
}
