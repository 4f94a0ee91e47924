/// What a JSON text may ask of its reader.
public struct JSONLimits: Sendable, Equatable {
    /// How deep arrays and objects may be nested in each other. The parser recurses this deep at most.
    public var depth: Int
    /// How many values the text may hold in all, members and elements at every depth counted.
    public var values: Int

    public init(depth: Int = 64, values: Int = 65_536) {
        self.depth = depth
        self.values = values
    }

    /// For texts of a trusted origin, such as a service's replies: as deep as any other implementation reads.
    public static let lenient = JSONLimits(depth: 512, values: 16 * 1024 * 1024)
}
