/// A JSON value as a tree, in Varlink's profile: integers keep all their bits, objects keep order and duplicates.
public enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    /// A number without fraction and exponent that Int64 holds.
    case int(Int64)
    /// A number without fraction and exponent above Int64 that UInt64 holds.
    case unsigned(UInt64)
    /// A number with fraction or exponent; always finite.
    case double(Double)
    /// A number that none of the other cases can hold, as it was written: 1e309, or twenty digits and more.
    case literal(String)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)
}

extension JSONValue {
    /// The value's type, as an English word with its article.
    public var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a Boolean"
        case .int, .unsigned, .double, .literal: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }

    /// The member of an object; nil when there is none or this is no object. The first counts when there are several.
    public subscript(key: String) -> JSONValue? {
        if case .object(let object) = self { object[key] } else { nil }
    }

    /// The first key that an object within this value, at any depth, has twice.
    public var firstDuplicateKey: String? {
        switch self {
        case .array(let elements): return elements.firstNonNil(\.firstDuplicateKey)
        case .object(let object): return object.duplicateKey ?? object.members.firstNonNil(\.value.firstDuplicateKey)
        default: return nil
        }
    }
}

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(nilLiteral: ()) { self = .null }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral members: (String, JSONValue)...) { self = .object(JSONObject(members)) }
}

extension Sequence {
    fileprivate func firstNonNil<Result>(_ transform: (Element) -> Result?) -> Result? {
        for element in self { if let result = transform(element) { return result } }
        return nil
    }
}
