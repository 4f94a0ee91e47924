// The journal of claims: a record that is taken for one is written and read again as the same claim.

import JSON
import Varlink

@testable import Takeover

func fuzzJournal(_ input: UnsafeRawBufferPointer) {
    guard let value = try? JSONValue(parsing: input, limits: .lenient) else { return }
    _ = try? Journal.Quarantine(reading: value, .call)
    guard let claim = recorded(in: value) else { return }
    var writer = JSONWriter()
    Journal.Claim(claim, bootID: "boot").write(to: &writer)
    let text = try? JSONValue(parsing: writer.buffer, limits: .lenient)
    require(
        text.flatMap { recorded(in: $0) } == claim,
        "a claim reads differently: \(String(decoding: writer.buffer, as: UTF8.self))")
}

private func recorded(in value: JSONValue) -> Claim? {
    guard let record = try? Journal.Claim(reading: value, .call) else { return nil }
    return try? record.claim()
}
