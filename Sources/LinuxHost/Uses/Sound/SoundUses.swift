// Sound that is playing or being recorded: /proc/asound/cardN/pcmMp/subK/status says "closed" or "state: RUNNING"
// (sound/core/pcm.c). Nothing of the host is lost with it, but somebody may hear that it has gone.

import EventLoop
import Host

/// The sound cards and what runs through them.
struct SoundUses: UseSource {
    /// The streams that run, by the folder of their card.
    var streams: [[String]: [String]] = [:]
    /// The folders of all cards.
    var cards: [[String]] = []
    /// Why not all is known.
    var unread: String?

    @LoopActor static func read(_ question: UseQuestion) async -> SoundUses {
        let reader = UseReader(below: question.host.root)
        let proc = ProcReader(below: question.host.root)
        var uses = SoundUses()
        for (name, path) in reader.devices("class/sound") {
            guard name.hasPrefix("card"), question.subjects.contains(where: { $0.has(path) }) else { continue }
            uses.cards.append(path)
            for stream in proc.names("asound/\(name)") where stream.hasPrefix("pcm") {
                let folder = "asound/\(name)/\(stream)"
                let runs = proc.names(folder).contains { entry in
                    entry.hasPrefix("sub") && proc.text("\(folder)/\(entry)/status").map(isRunning) == true
                }
                if runs { uses.streams[path, default: []].append(stream) }
            }
        }
        uses.unread = reader.failure ?? proc.failure
        return uses
    }

    /// A stream that drains still has something to say.
    static func isRunning(_ status: String) -> Bool {
        status.split(separator: "\n").contains { $0 == "state: RUNNING" || $0 == "state: DRAINING" }
    }

    func kinds(of subject: UseSubject) -> [DeviceUse.Kind] {
        var kinds: [DeviceUse.Kind] = streams.sorted { $0.key.lexicographicallyPrecedes($1.key) }
            .filter { subject.has($0.key) }
            .flatMap { $0.value.map { .sound(stream: $0) } }
        if let unread, cards.contains(where: subject.has) { kinds.append(.unknown(reason: unread)) }
        return kinds
    }
}
