// A message of a kind, with the fields by which it is found again.

/// Something that happened, for the journal.
public struct JournalMessage: Sendable, Equatable {
    /// A field of it, and its name in the journal.
    public enum Name: String, Sendable, CaseIterable {
        /// The identity of a claim.
        case claim = "CLAIM"
        /// What its owner calls it.
        case claimName = "CLAIM_NAME"
        /// The identity of a group; there may be several.
        case group = "GROUP"
        /// The address of a device; there may be several.
        case device = "DEVICE"
        /// The user of a client.
        case clientUID = "CLIENT_UID"
        /// The process of a client.
        case clientPID = "CLIENT_PID"
        /// The systemd unit that the client runs in.
        case clientUnit = "CLIENT_UNIT"
        /// The name of the error that a client got.
        case errorName = "ERROR_NAME"
        /// The name of a reservation.
        case reservation = "RESERVATION"
    }

    /// One field.
    public struct Field: Sendable, Equatable {
        public var name: Name
        public var value: String

        public init(_ name: Name, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    public var kind: MessageKind
    /// A sentence, complete without the fields.
    public var text: String
    public var fields: [Field]

    public init(_ kind: MessageKind, _ text: String, _ fields: [Field] = []) {
        self.kind = kind
        self.text = text
        self.fields = fields
    }
}
