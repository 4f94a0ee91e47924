// What the statements of all files mean together: later files and lines win, as in systemd, and nothing is passed over
// in silence.

import PCI

extension Configuration {
    /// The configuration that some files give. Users and groups have no names in it.
    /// - Parameter texts: the files, the one that yields to all others first.
    /// - Throws: `ConfigurationError` with every mistake of every file.
    public init(reading texts: [ConfigurationText]) throws(ConfigurationError) {
        let interpretation = Interpretation(of: texts, Accounts())
        guard interpretation.mistakes.isEmpty else { throw ConfigurationError(mistakes: interpretation.mistakes) }
        self = interpretation.configuration
    }
}

/// A configuration as far as it could be understood, and what could not.
struct Interpretation {
    private(set) var configuration = Configuration()
    private(set) var mistakes: [Mistake] = []
    private var drafts: [ReservationDraft] = []
    private let accounts: Accounts
    /// Where the key was set last, for what only two keys together tell.
    private var lastRetry: (file: String, line: Int)?

    init(of texts: [ConfigurationText], _ accounts: Accounts) {
        self.accounts = accounts
        for text in texts {
            let parsed = ParsedText(text)
            var found = parsed.mistakes
            var place = Place.outside
            for statement in parsed.statements {
                if let message = take(statement, of: text.file, &place) {
                    found.append(Mistake(file: text.file, line: statement.line, message: message))
                }
            }
            mistakes += found.sorted { ($0.line ?? 0) < ($1.line ?? 0) }
        }
        finish()
    }

    /// Where in a file an assignment stands.
    private enum Place {
        case outside
        case section(SectionKind)
        case hostBridge(HostBridgeID)
        /// The position of its draft.
        case reservation(Int)
        /// Below a header that was reported, or in a section that is somebody else's.
        case ignored
    }

    private mutating func take(_ statement: Statement, of file: String, _ place: inout Place) -> String? {
        switch statement.kind {
        case .brokenSection:
            place = .ignored
            return nil
        case .section(let header):
            return enter(header, file, statement.line, &place)
        case .assignment(let key, let value):
            if key == "FirstRetrySec" || key == "LastRetrySec" { lastRetry = (file, statement.line) }
            return assign(key, value, at: place)
        }
    }

    private mutating func enter(_ header: String, _ file: String, _ line: Int, _ place: inout Place) -> String? {
        place = .ignored
        if isExtension(header) { return nil }
        let words = header.split(separator: " ", maxSplits: 1).map(String.init)
        guard let kind = words.first.flatMap({ SectionKind(rawValue: $0) }) else {
            let known = SectionKind.allCases.map(\.header).sorted().joined(separator: ", ")
            return "unknown section \(quoted(header)); known: \(known), and names of your own that begin with X-"
        }
        let name = words.count > 1 ? words[1] : nil
        switch (kind, name) {
        case (.hostBridge, let name?):
            guard let id = HostBridgeID(name) else {
                return "\(quoted(name)) is no host bridge; write it as vfiogroupctl status shows it, such as pci0000:00"
            }
            place = .hostBridge(id)
        case (.reservation, let name?):
            guard reservationName(name) else {
                return "\(quoted(name)) is no name for a reservation; use at most 64 of A-Z, a-z, 0-9, '.', '_' and '-'"
            }
            place = .reservation(draft(name, file, line))
        case (_, nil) where kind.nameText == nil: place = .section(kind)
        case (_, nil): return "[\(kind.rawValue)] needs a name; write \(kind.header)"
        case (_, .some): return "[\(kind.rawValue)] takes no name; write it alone"
        }
        return nil
    }

    private mutating func draft(_ name: String, _ file: String, _ line: Int) -> Int {
        if let known = drafts.firstIndex(where: { $0.name == name }) { return known }
        drafts.append(ReservationDraft(name: name, file: file, line: line))
        return drafts.count - 1
    }

    private mutating func assign(_ name: String, _ value: String, at place: Place) -> String? {
        let assignment = Assignment(name: name, value: value, accounts: accounts)
        return switch place {
        case .ignored: nil
        case .outside: "\(quoted(name + "=")) stands outside of a section; put it below a line like [Daemon]"
        case .section(.daemon): assignment.apply(Key.daemon, to: &configuration, .daemon)
        case .section(.timing): assignment.apply(Key.timing, to: &configuration, .timing)
        case .section(.limits): assignment.apply(Key.limits, to: &configuration, .limits)
        case .section(.access): assignment.apply(Key.access, to: &configuration, .access)
        case .section(.hostBridge), .section(.reservation): nil
        case .hostBridge(let id): assignment.apply(Key.hostBridge(id), to: &configuration, .hostBridge)
        case .reservation(let position): assignment.apply(Key.reservation, to: &drafts[position], .reservation)
        }
    }

    /// `name=value` below a header.
    private struct Assignment {
        let name: String
        let value: String
        let accounts: Accounts

        func apply<Root>(_ keys: [Key<Root>], to root: inout Root, _ kind: SectionKind) -> String? {
            if isExtension(name) { return nil }
            guard let key = keys.first(where: { $0.name == name }) else {
                let names = keys.map { $0.name + "=" }.joined(separator: ", ")
                return "unknown key \(quoted(name + "=")) in \(kind.header); known: \(names)"
            }
            return key.assign(value, &root, accounts)
        }
    }

    /// What only all files together tell.
    private mutating func finish() {
        for draft in drafts {
            let header = "[Reservation \(draft.name)]"
            switch draft.reservation() {
            case .refused(let why): complain(draft.file, draft.line, "\(header) \(why)")
            case .value(let reservation):
                if let twin = configuration.reservations.first(where: { $0.subject == reservation.subject }) {
                    complain(
                        draft.file, draft.line, "\(header) keeps what [Reservation \(twin.name)] keeps; remove one")
                }
                configuration.reservations.append(reservation)
            }
        }
        if let lastRetry, configuration.timing.lastRetry < configuration.timing.firstRetry {
            complain(
                lastRetry.file, lastRetry.line,
                "LastRetrySec= is shorter than FirstRetrySec=; the pause between tries only grows")
        }
    }

    private mutating func complain(_ file: String, _ line: Int, _ message: String) {
        mistakes.append(Mistake(file: file, line: line, message: message))
    }
}

/// systemd leaves sections and keys that begin with `X-` to others, systemd.unit(5).
private func isExtension(_ name: String) -> Bool { name.hasPrefix("X-") }
