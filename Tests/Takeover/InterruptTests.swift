// Groups on a platform that does not remap interrupts.

import EventLoop
import Grouping
import Inventory
import Registry
import SimulatedHost
import Testing
import TestSupport

@testable import Takeover

@Suite("Without interrupt remapping", .timeLimit(.minutes(15)))
struct InterruptTests {
    init() throws { try EventLoop.main.runInBackground() }

    @Test("a group is not claimable, with what would change it; when that was changed, it is, without an event")
    @LoopActor func known() async throws {
        for hasIOMMUFD in [true, false] {
            let machine = try TestMachine(hasIOMMUFD: hasIOMMUFD)
            let before = try await machine.bindings()
            machine.host.perform {
                $0.interrupts = InterruptRemapping(isOn: false, type1Allows: false, iommufdAllows: false)
            }
            let daemon = try await machine.start()
            guard case .failure(.notClaimable(_, let reason)) = await machine.claim(daemon, TestMachine.single) else {
                Issue.record("it was not refused")
                return
            }
            #expect(reason.contains("EPERM") && reason.contains("allow_unsafe_interrupts"))
            #expect(try await machine.bindings() == before)
            machine.host.perform {
                $0.interrupts = InterruptRemapping(isOn: false, type1Allows: true, iommufdAllows: true)
            }
            let claim = try await machine.claim(daemon, TestMachine.single).get().claim
            #expect(claim.groups[0].isOwned)
        }
    }

    @Test("a claim that cannot know it beforehand fails with the cause and what would change it, and undoes all")
    @LoopActor func unknown() async throws {
        for hasIOMMUFD in [true, false] {
            let machine = try TestMachine(hasIOMMUFD: hasIOMMUFD)
            machine.host.perform { $0.interrupts = InterruptRemapping(isOn: false) }
            let before = try await machine.bindings()
            let daemon = try await machine.start()
            guard
                case .failure(.failed(let failure, unrestored: [])) = await machine.claim(daemon, TestMachine.triple[0])
            else {
                Issue.record("it did not fail")
                return
            }
            #expect(failure.cause == .errno(KernelErrno.eperm.number))
            #expect(failure.detail.contains("does not remap interrupts"))
            #expect(failure.remedy.contains("allow_unsafe_interrupts"))
            #expect(try await machine.bindings() == before)
        }
    }
}
