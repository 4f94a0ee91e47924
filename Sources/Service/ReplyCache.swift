// Encoded groups, kept for as long as they are true: a launcher that polls a group costs a copy, not an encoding.

import EventLoop
import GroupAPI
import Grouping
import JSON
import Registry

/// The JSON of groups of one generation.
@LoopActor
final class ReplyCache {
    /// How many bytes are kept at most; a host with thousands of groups is not kept in memory twice.
    private static let capacity = 1 << 20

    private var generation = 0
    private var encoded: [String: [UInt8]] = [:]
    private var size = 0

    /// The encoding of the group of this identity, where it is kept and still true: a name that is no group's is not.
    func bytes(of id: String, generation: Int) -> [UInt8]? {
        generation == self.generation ? encoded[id] : nil
    }

    /// The encoding of a group of the snapshot of this generation, made where it is not kept.
    func bytes(of record: GroupRecord, generation: Int, make: (GroupRecord) -> Groups.Group) -> [UInt8] {
        if generation != self.generation || size > Self.capacity {
            encoded.removeAll()
            size = 0
            self.generation = generation
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
