// What no event tells of: before Linux 6.6 an unbind or a removal of a device on vfio is announced when it is over, and it
// waits for whoever has the device open. So the members of held groups are looked at from time to time.

import EventLoop
import Host
import Inventory
import Registry

extension Takeover {
    /// Looks at the members of held groups while there are any, and reads the host anew when one is not as it is known.
    /// The pause between two looks does not keep a takeover alive that everybody else has let go of.
    func watchMembers() {
        guard memberTask == nil, !isStopped, holdsGroups else { return }
        memberTask = EventLoop.main.spawn { [weak self, host, pause = timing.memberLook] in
            while self?.holdsGroups == true {
                do throws(LoopError) { try await host.sleep(for: pause) } catch { return }
                await self?.lookAtMembers()
            }
            self?.memberTask = nil
        }
    }

    private func lookAtMembers() async {
        noticeSleep()
        if hasUnseenChange { await keeper?.refresh() }
    }

    private var holdsGroups: Bool { claims.values.contains { $0.record.groups.contains { $0.goal == .hold } } }

    private var hasUnseenChange: Bool {
        let inventory = snapshot.inventory
        let held = claims.values.lazy.flatMap(\.record.groups).filter { $0.goal == .hold }
        return held.flatMap(\.members).map(\.address).contains { member in
            guard let link = host.driverLink(of: member) else { return false }
            return link != DriverLink(of: inventory[member])
        }
    }
}
