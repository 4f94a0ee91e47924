// Tests of captures look at those of real machines where they are at hand, and elsewhere say that they did not.

import Testing

/// Prints, before a test that takes `Capture.all`, that the captures of real machines are not among them.
public struct RealCaptures: TestTrait {
    public func prepare(for test: Test) async throws {
        guard Capture.real.isEmpty else { return }
        let name = test.displayName ?? test.name
        print("SKIPPED: \"\(name)\" on captures of real machines, because \(Capture.realFolder) is not there")
    }
}

extension Trait where Self == RealCaptures {
    /// For tests that take `Capture.all`.
    public static var realCaptures: Self { RealCaptures() }
}
