// The kinds of journal messages by which an administrator, or a program, finds what happened: each has a MESSAGE_ID for
// ever, and an entry of that number in systemd/vfiogroupd.catalog.

/// What a message of the journal tells.
public enum MessageKind: String, Sendable, CaseIterable {
    /// The daemon serves its socket.
    case started
    /// The daemon ends; claims stay on record.
    case stopping
    /// A client has a claim now.
    case claimGranted
    /// A client was refused something that it asked for.
    case requestRefused
    /// A claim's groups were handed over.
    case handedOver
    /// Groups were added to a claim.
    case groupsAttached
    /// Groups of a claim were given back.
    case groupsDetached
    /// A claim was given back because somebody asked for it.
    case claimReleased
    /// A group that was found on vfio drivers is a claim now.
    case groupAdopted
    /// A claim was forgotten without being restored.
    case claimAbandoned
    /// A group may be claimed again whose reset had failed.
    case quarantineLifted
    /// A claim is over, whoever ended it.
    case claimEnded
    /// Claims of an earlier daemon were found on record.
    case claimsFound
    /// A claimed group is no longer complete, or no longer owned in the kernel.
    case groupDegraded
    /// Somebody wants a claimed device to leave.
    case removalRequested
    /// A group could not be given back yet.
    case restoreDelayed
    /// A reset of a group failed.
    case quarantined
    /// A reservation has its group.
    case reservationTaken
    /// A reservation was released, and is left alone.
    case reservationReleased
    /// A reservation does not have its group.
    case reservationNotTaken
    /// A host driver had a reserved device first.
    case raceLost
    /// The configuration was read anew.
    case configurationReloaded
    /// The configuration has mistakes.
    case configurationRefused
    /// The groups are not what they were in the last boot.
    case bootDifference
}

extension MessageKind {
    /// MESSAGE_ID, 128 random bits that never change.
    public var id: String {
        switch self {
        case .started: "0893b424894d459dbac7dda12519303e"
        case .stopping: "558268aab721405a80f9a6380d0050af"
        case .claimGranted: "13674a67f1714e79ad3e7fafa6aae636"
        case .requestRefused: "78706c4b16cb4acd8ebe9fc378835d24"
        case .handedOver: "5ddcab06cd394653a1f358c20033d076"
        case .groupsAttached: "d41d0d81d1824bcbbeec67d2b3be5606"
        case .groupsDetached: "da91226cfe7e49aa931e830168010922"
        case .claimReleased: "8a57e7e3af5c4a08b0917f5b9dce62c5"
        case .groupAdopted: "e37b522347114d849d19a19b019c4e8e"
        case .claimAbandoned: "0de53f082079450d831fbe4338f225b1"
        case .quarantineLifted: "02325d1bfaa44418b5f512f970189b84"
        case .claimEnded: "6f5806d4bea04ab3ac3294ca02864425"
        case .claimsFound: "83a9c6b6ea714f86a321de66bd176381"
        case .groupDegraded: "67c1db16ca8f47e6b3e8c46c6c5d5322"
        case .removalRequested: "22a33aaf732b4471a2019c15a2821f4b"
        case .restoreDelayed: "83c9a765b342422abec3f043d6e67160"
        case .quarantined: "672d532966f347f3bfa17503041cc6b1"
        case .reservationTaken: "21ff943974a849ffb395ed653128e2da"
        case .reservationReleased: "dde676b19cc34791b3303e9bf69b864c"
        case .reservationNotTaken: "b75a80cb11ef430b995bc353c791f35c"
        case .raceLost: "75d9d1ee9a1347cb961908b176446622"
        case .configurationReloaded: "ac7af0fc696e4c88a945583a882a6730"
        case .configurationRefused: "d9bf7e50c08d4a1d943f14cff693db68"
        case .bootDifference: "53bcf6308545407ea66692a134d87406"
        }
    }

    /// How much it matters.
    public var level: LogLevel {
        switch self {
        case .started, .stopping: .info
        case .claimGranted, .requestRefused, .handedOver, .groupsAttached, .groupsDetached, .claimReleased,
            .groupAdopted, .quarantineLifted, .claimEnded, .claimsFound, .reservationTaken, .reservationReleased,
            .configurationReloaded,
            .bootDifference:
            .notice
        case .claimAbandoned, .groupDegraded, .removalRequested, .restoreDelayed, .reservationNotTaken, .raceLost:
            .warning
        case .quarantined, .configurationRefused: .error
        }
    }
}
