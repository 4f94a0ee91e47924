// What is refused before anything is done, and what selectors lead to.

import EventLoop
import Grouping
import Host
import Inventory
import PCI
import Registry
import SimulatedHost
import Testing
import TestSupport

@testable import Takeover

@Suite("Before a claim", .timeLimit(.minutes(15)))
struct PreflightTests {
    init() throws { try EventLoop.main.runInBackground() }

    private static let kinds: [DeviceUse.Kind] = [
        .graphicsClient(pid: 4711, command: "Xorg", nodes: "card0"), .nvidiaConsole(version: "550.54.14"),
        .computing(pid: 4711, command: "python3"), .mediatedDevices(count: 1),
        .memoryOnline(region: "region0", blocks: 2), .secureGuests(who: "the kernel counts 1"),
        .kernelConsole(terminal: "ttyS4"), .watchdog(name: "watchdog0"), .routed(device: "Dock"),
        .chipset(what: "an ISA bridge"), .silent,
        .mounted(at: "/", via: "dm-0"), .swap(via: "nvme0n1p3"), .stacked(holder: "md0"),
        .part(role: "log device", of: "the XFS file system at /data", via: "nvme0n1p3"),
        .fileSystem(type: "ext4", via: "nvme0n1p1"), .exported(by: "nvmet (nqn, namespace 1)", via: "nvme0n1"),
        .volumeGroup("vg", via: "nvme0n1p2"), .path(to: "nvme0n1", others: ["nvme1"]),
        .sameDisk(as: "nvme1n1", use: "is mounted at /", via: "nvme0n1"),
        .route(to: "default", interface: "eth0"), .address("192.0.2.1/24", interface: "eth0"),
        .port(interface: "eth0", of: "br0"), .upper(interface: "eth0", upper: "eth0.5"), .otherNetwork,
        .remoteStorage("/srv", interface: "eth0"), .ipOverInfiniBand(interface: "ib0"),
        .iSCSISession("session1", target: nil), .bootDisplay, .open(pid: 4711, command: "Xorg"),
        .unknown(reason: "the mounts of process 1 cannot be read"),
    ]

    @Test(
        "whatever the host uses a member for refuses, names the member, and is overruled only by its name",
        arguments: kinds)
    @LoopActor func uses(kind: DeviceUse.Kind) async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        machine.host.uses = [DeviceUse(TestMachine.triple[1], kind)]
        let daemon = try await machine.start()
        // Another member's name is no reason to take this one.
        let refused = await machine.claim(daemon, TestMachine.triple[0], force: [TestMachine.triple[0]])
        guard case .failure(.inUse(let uses)) = refused else {
            Issue.record("\(refused)")
            return
        }
        #expect(uses == machine.host.uses)
        #expect(try await machine.bindings() == before)
        #expect(daemon.life.effects == 0)
        _ = try await machine.claim(daemon, TestMachine.triple[0], force: [TestMachine.triple[1]]).get()
    }

    private static let warningKinds: [DeviceUse.Kind] = [
        .linkUp(interface: "eth0"), .nvidiaControl(pid: 4711, command: "nvidia-smi"), .sound(stream: "pcm0p"),
        .attended(pid: 4711, command: "pipewire", what: "a sound card"), .onlyKeyboard(name: "AT keyboard"),
        .chipsetAlong(what: "an ISA bridge"),
    ]

    @Test("a use that only warns refuses nothing, and is told with the claim, as is what was forced")
    @LoopActor func warnings() async throws {
        let machine = try TestMachine()
        let warning = DeviceUse(TestMachine.triple[1], .linkUp(interface: "eth0"))
        machine.host.uses = [warning]
        let daemon = try await machine.start()
        let granted = try await machine.claim(daemon, TestMachine.triple[0]).get()
        #expect(granted.uses == [warning])
        _ = try await machine.release(daemon, granted.claim.claim.id).get()
        machine.host.uses = [DeviceUse(TestMachine.triple[2], .swap(via: "sda2"))]
        let forced = try await machine.claim(daemon, TestMachine.triple[0], force: [TestMachine.triple[2]]).get()
        #expect(forced.uses == machine.host.uses)
    }

    @Test(
        "the table has a line for every kind: a word for programs, a remedy and a source",
        arguments: kinds + warningKinds)
    func rules(kind: DeviceUse.Kind) {
        let rule = kind.rule
        #expect(!rule.word.isEmpty && rule.word.allSatisfy { $0.isASCII && $0.isLetter })
        #expect(!rule.remedy.isEmpty && !rule.remedy.hasSuffix("."))
        #expect(!rule.source.isEmpty)
        #expect(rule.severity.stopsClaim != Self.warningKinds.contains(kind))
        #expect((rule.severity == .unknown) == (rule.word == "unknown"))
    }

    /// What speaks against a claim of a group that the host was found to make no use of.
    private func refusals(
        of group: GroupRecord, in snapshot: Snapshot, force: [DeviceAddress] = []
    ) -> [DeviceUse] {
        Preflight.refusals(Preflight.uses([group], askedBy: [], found: [], in: snapshot), force: force)
    }

    @Test("a physical function with virtual ones refuses, and so does a virtual one whose physical function is claimed")
    @LoopActor func virtualFunctions() async throws {
        var physical = pciDevice("0000:01:00.0", group: 1, driver: "ice")
        if var function = physical.pci {
            function.virtualFunctions = [PCIAddress("0000:01:00.1")].compactMap { $0 }
            physical.kind = .pci(function)
        }
        let virtual = pciDevice("0000:01:00.1", group: 2, driver: "iavf", virtual: ("0000:01:00.0", 0))
        let snapshot = Registry(machine(physical, virtual), policy: .auto).snapshot
        let group = try #require(snapshot.group(of: physical.address))
        #expect(
            refusals(of: group, in: snapshot)
                == [DeviceUse(physical.address, .virtualFunctions(count: 1))])
        #expect(refusals(of: group, in: snapshot, force: [physical.address]) == [])
        var registry = Registry(machine(physical, virtual), policy: .auto)
        _ = registry.hold([group.id: Holding(claim: "claim-1", state: .claimed)])
        let other = try #require(registry.snapshot.group(of: virtual.address))
        guard let address = physical.address.pci else { return }
        #expect(
            refusals(of: other, in: registry.snapshot)
                == [DeviceUse(virtual.address, .physicalFunctionClaimed(address, claim: "claim-1"))])
    }

    @Test("selectors by IDs take as many free groups as they ask for, and say how many there are")
    @LoopActor func selectors() async throws {
        let machine = try TestMachine()
        let daemon = try await machine.start()
        let pattern = EndpointPattern(vendorID: 0x8086, deviceID: nil, classCode: ClassCode(rawValue: 0x020001))
        let owner = machine.owner
        func claim(_ count: Int) async -> Result<Takeover.Granted, TakeoverError> {
            await machine.running(daemon) {
                do throws(TakeoverError) {
                    return .success(
                        try await daemon.takeover.claim(
                            ClaimRequest([.endpoint(pattern, count: count)], lifetime: .manual), for: owner))
                } catch { return .failure(error) }
            }
        }
        guard case .failure(.notEnoughGroups(selector: 0, wanted: 4, found: 3, _)) = await claim(4) else {
            Issue.record("four groups were found")
            return
        }
        let granted = try await claim(2).get()
        #expect(granted.claim.groups.map(\.record.id.text) == ["pci0000-00_01.0_00.0", "pci0000-00_02.0_00.0"])
        guard case .failure(.notEnoughGroups(selector: 0, wanted: 2, found: 1, _)) = await claim(2) else {
            Issue.record("groups that are claimed were found")
            return
        }
    }

    @Test("what is not there, not claimable or nonsense is refused by name")
    @LoopActor func nonsense() async throws {
        let machine = try TestMachine()
        let daemon = try await machine.start()
        let owner = machine.owner
        func refusal(_ request: ClaimRequest) async -> TakeoverError? {
            await machine.running(daemon) {
                do throws(TakeoverError) {
                    _ = try await daemon.takeover.claim(request, for: owner)
                    return nil
                } catch { return error }
            }
        }
        #expect(await refusal(ClaimRequest([])) == .badRequest(parameter: "selectors"))
        #expect(await refusal(ClaimRequest([.group("../../etc")])) == .noSuchGroup("../../etc"))
        #expect(
            await refusal(ClaimRequest([.device(device("0000:09:00.0"))]))
                == .noSuchDevice(device("0000:09:00.0"), reason: nil))
        #expect(await refusal(ClaimRequest([.device(TestMachine.single)], name: "")) == .badRequest(parameter: "name"))
        #expect(
            await refusal(ClaimRequest([.device(TestMachine.single)], leaveOut: [TestMachine.single]))
                == .badRequest(parameter: "leaveOut"))
        guard case .notClaimable? = await refusal(ClaimRequest([.device(device("0000:00:01.0"))])) else {
            Issue.record("a port alone could be claimed")
            return
        }
        #expect(daemon.takeover.claimCount == 0)
    }

    @Test("a variant driver that the module aliases name is taken instead of vfio-pci, and loaded first")
    @LoopActor func variant() async throws {
        let machine = try TestMachine()
        let before = try await machine.bindings()
        machine.host.perform { kernel in
            kernel.register(
                KernelDriver("mlx5_vfio_pci", matches: [.address(TestMachine.triple[1])], isLoaded: false))
        }
        let daemon = try await machine.start()
        let view = try await machine.claim(daemon, TestMachine.triple[0]).get().claim
        #expect(view.groups[0].record.members.map(\.vfioDriver) == ["vfio-pci", "mlx5_vfio_pci", "vfio-pci"])
        #expect(machine.host.kernel[TestMachine.triple[1]]?.driver == "mlx5_vfio_pci")
        _ = try await machine.release(daemon, view.claim.id).get()
        #expect(try await machine.bindings() == before)
    }

    @Test("POWER7 lets one group into an address space")
    @LoopActor func powerLimit() async throws {
        let inventory = machine(
            pciDevice("0000:01:00.0", group: 1, driver: "e1000e"), pciDevice("0000:02:00.0", group: 2, driver: "e1000e")
        )
        var bridges = inventory.hostBridges
        for index in bridges.indices { bridges[index].partitioning = .p7ioc }
        let power = Inventory(hostBridges: bridges, devices: inventory.devices, kernelGroups: inventory.kernelGroups)
        let snapshot = Registry(power, policy: .forced(.kernel)).snapshot
        #expect(Selection.limit(snapshot.groups, in: power) == 1)
        #expect(Selection.limit(snapshot.groups, in: inventory) == nil)
    }
}
