// Encoded groups, kept for as long as they are true: a launcher that polls a group costs a copy, not an encoding.

import EventLoop
import GroupAPI
import Grouping
import JSON
import Registry

/// The JSON of groups of one moment.
@LoopActor
final class ReplyCache {
    /// For how long an encoding is true: as long as nothing counts on.
    struct Moment: Equatable {
        /// The generation of the snapshot.
        var generation: Int
        /// The number of the lookup of what the host uses.
        var uses: Int
    }

    /// How many bytes are kept at most; a host with thousands of groups is not kept in memory twice.
    private static let capacity = 1 << 20

    private var moment: Moment?
    private var encoded: [String: [UInt8]] = [:]
    private var size = 0

    /// The encoding of the group of this identity, where it is kept and still true: a name that is no group's is not.
    func bytes(of id: String, _ moment: Moment) -> [UInt8]? {
        moment == self.moment ? encoded[id] : nil
    }

    /// The encoding of a group as it is at this moment, made where it is not kept.
    func bytes(of record: GroupRecord, _ moment: Moment, make: (GroupRecord) -> Groups.Group) -> [UInt8] {
        if moment != self.moment || size > Self.capacity {
            encoded.removeAll()
            size = 0
            self.moment = moment
        }
        if let bytes = encoded[record.id.text] { return bytes }
        var writer = JSONWriter()
        make(record).write(to: &writer)
        let bytes = writer.bytes
        encoded[record.id.text] = bytes
        size += bytes.count
        return bytes
    }
}
