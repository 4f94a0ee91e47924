// Records that another version of the daemon has written. The rule: an older one is brought to the form of this daemon; of
// a newer one all that is known is read, and what is not is taken in the sense in which nothing is given back or taken from
// anybody. Such a claim is held, says so, and goes back when somebody releases it.

import JSON
import Varlink

extension Journal {
    /// A claim's record in the form that this daemon reads.
    struct KnownForm {
        /// In the form of this version, with what this daemon does not know.
        var original: JSONValue
        /// The same, with what this daemon does not understand taken in the safest sense.
        var value: JSONValue
        /// What is not understood, in words.
        var notUnderstood: [String]

        init(of record: JSONValue, version: Int) throws(Unfit) {
            guard version >= 0 else { throw .init(reason: "it is of version \(version), which there is none of") }
            original = version < 1 ? Self.fromVersion0(record) : record
            var value = original
            var notUnderstood: [String] = []
            if version > Journal.version {
                notUnderstood.append(
                    "its record is of version \(version), and this daemon knows version \(Journal.version): it is held as "
                        + "far as that is understood, until it is released or a newer vfiogroupd runs")
            }
            value.change("lifetime") { Self.known($0, Lifetime.self, or: .manual, "lifetime", &notUnderstood) }
            value.change("access") { Self.known($0, Access.self, or: .path, "access", &notUnderstood) }
            value.changeEach("groups") { group in
                group.change("goal") { Self.known($0, Goal.self, or: .hold, "goal", &notUnderstood) }
                group.changeEach("members") { member in
                    member.change("driver") { Self.known($0, Driver.self, or: .unknown, "driver", &notUnderstood) }
                }
                // A node of a kind that is not known is for the daemon to take back that knows it.
                group.filter("nodes") { $0["device"] != nil || $0["kernelGroup"] != nil }
            }
            if !notUnderstood.isEmpty {
                // Nobody's end gives it back, and nothing of it is undone that may have been its owner's.
                value.change("lifetime") { _ in .string(Lifetime.manual.rawValue) }
                value.changeEach("groups") { group in
                    group.change("goal") { goal in
                        goal == .string(Goal.take.rawValue) ? .string(Goal.hold.rawValue) : goal
                    }
                }
            }
            (self.value, self.notUnderstood) = (value, notUnderstood)
        }

        /// A value of an enumeration, or what is safest in its place. A value that is none at all is for the decoder to
        /// refuse.
        private static func known<Value: RawRepresentable<String>>(
            _ value: JSONValue, _ type: Value.Type, or safest: Value, _ name: String, _ notUnderstood: inout [String]
        ) -> JSONValue {
            guard case .string(let text) = value, Value(rawValue: text) == nil else { return value }
            notUnderstood.append(
                "its record says the \(name) \"\(text)\", which this daemon does not know: it is held until it is "
                    + "released or a newer vfiogroupd runs")
            return .string(safest.rawValue)
        }

        /// Version 0 lacks what later came to be on every record. A group in it may have been used: it is reset.
        private static func fromVersion0(_ record: JSONValue) -> JSONValue {
            var record = record
            record.set("version", .int(1))
            record.add("access", .string(Access.hold.rawValue))
            record.add("leftOut", [])
            record.add("unownedMoments", [])
            record.changeEach("groups") { group in
                group.add("kernelGroups", [])
                group.add("wasHeld", true)
                group.changeEach("members") { member in
                    member.add("identity", .object([:]))
                    member.add("bridge", false)
                    member.add("restored", false)
                }
            }
            return record
        }
    }
}
