// The virtual functions of a member: they go with its host driver, and are made again when it is back with that.

/// What became of the virtual functions that a member had.
public enum VirtualFunctionsFate: Equatable, Sendable {
    /// They went with its host driver.
    case gone
    /// As many were made again.
    case madeAgain
    /// Not all of them were, and that is not tried again; why, in words.
    case notMade(reason: String)
}

extension ClaimedMember {
    /// What is to be said of it beside its driver and its reset, in words.
    public var remark: String? {
        guard let count = before.virtualFunctions, count > 0, let virtualFunctions else { return nil }
        let them = count == 1 ? "its virtual function" : "its \(count) virtual functions"
        let settings = "MAC addresses, VLANs and drivers that were set for them"
        switch virtualFunctions {
        case .gone:
            return
                "\(them) went with its host driver; a release makes as many again, and does not restore the \(settings)"
        case .madeAgain: return "\(them) went with its host driver and were made again; \(settings) are not restored"
        case .notMade(let reason):
            return "\(them) went with its host driver and are not back as they were: \(reason)"
        }
    }
}
