// io.vfiogroupd.Groups.Explain: why devices are together, and why they are not.

import EventLoop
import GroupAPI
import Grouping
import Inventory
import Keeper
import PCI
import Registry
import Varlink

extension GroupService {
    /// Answers Explain.
    func explain(_ parameters: Groups.Explain.Parameters) throws(ErrorReply) -> Groups.Explain.Reply {
        let snapshot = snapshot
        guard let name = parameters.other else {
            let record = try group(
                .init(id: parameters.id, device: parameters.device, kernelGroup: parameters.kernelGroup))
            return .init(keeper.explainers.explainer(of: snapshot).explain(record.group))
        }
        guard let first = parameters.device else { throw .invalidParameter("device") }
        guard parameters.id == nil else { throw .invalidParameter("id") }
        guard parameters.kernelGroup == nil else { throw .invalidParameter("kernelGroup") }
        let a = try device(first, in: snapshot).address
        let b = try device(name, in: snapshot).address
        let explainer = keeper.explainers.explainer(of: snapshot)
        let groups = (snapshot.group(of: a)?.group, snapshot.group(of: b)?.group)
        if let group = groups.0, group.id == groups.1?.id { return .init(explainer.explain(a, b, in: group)) }
        let reasons = [a, b].compactMap { device in
            snapshot.reasonUngrouped(device).map { "\(device) is in no group: \($0)." }
        }
        return .init(explainer.explain(a, in: groups.0, apartFrom: b, in: groups.1, reasons: reasons))
    }
}
