// JSON: what is read and written again reads the same, in one line and over several.

import JSON

func fuzzJSON(_ input: UnsafeRawBufferPointer) {
    for limits in [JSONLimits(), .lenient, JSONLimits(depth: 2, values: 8)] {
        guard let value = try? JSONValue(parsing: input, limits: limits) else { continue }
        for text in [value.description, value.pretty] {
            require((try? JSONValue(parsing: text, limits: .lenient)) == value, "it reads differently: \(text)")
        }
    }
}
