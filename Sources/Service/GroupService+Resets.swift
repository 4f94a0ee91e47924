// io.vfiogroupd.Groups.GetResets: how members can be reset, and who is reset with them.

import EventLoop
import GroupAPI
import Grouping
import Host
import Inventory
import Keeper
import Registry
import Varlink

extension GroupService {
    /// Answers GetResets.
    func resets(_ parameters: Groups.GetResets.Parameters) throws(ErrorReply) -> Groups.GetResets.Reply {
        let record = try group(
            .init(id: parameters.id, device: parameters.device, kernelGroup: parameters.kernelGroup))
        return .init(
            group: record.id.text,
            members: snapshot.resetReach(of: record.group.members).map { reach in
                .init(
                    address: .init(reach.device), methods: keeper.host.resetMethods(of: reach.device),
                    bus: reach.bus.map { .init($0) }, slot: reach.slot.map { .init($0) })
            })
    }
}

extension Groups.ResetScope {
    fileprivate init(_ scope: ResetScope) {
        self.init(name: scope.name, devices: scope.devices.map { .init($0) }, groups: scope.groups.map(\.text))
    }
}
