/// A JSON value.
public indirect enum JSONValue: Sendable {
  case null
  case bool(Bool)
  case number(JSONNumber)
  case string(String)
  case array([JSONValue])
  case object(JSONObject)
}

extension JSONValue {
  /// The text of a string.
  public var string: String? {
    if case .string(let text) = self { text } else { nil }
  }

  /// The value of a number that is spelled as an integer and fits.
  public var int: Int? {
    if case .number(let number) = self { number.int } else { nil }
  }

  /// The value of a number.
  public var double: Double? {
    if case .number(let number) = self { number.double } else { nil }
  }

  /// The value of a boolean.
  public var bool: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  /// The elements of an array.
  public var array: [JSONValue]? {
    if case .array(let elements) = self { elements } else { nil }
  }

  /// The members of an object.
  public var object: JSONObject? {
    if case .object(let object) = self { object } else { nil }
  }

  /// Whether this is `null`.
  public var isNull: Bool { self == .null }

  /// The member of an object; nil when absent or when this is no object.
  public subscript(_ key: String) -> JSONValue? { object?[key] }

  /// The element of an array; nil outside its bounds or when this is no array.
  public subscript(_ position: Int) -> JSONValue? {
    guard case .array(let elements) = self, elements.indices.contains(position) else { return nil }
    return elements[position]
  }
}

extension JSONValue: Equatable {
  /// Whether two values are the same: strings by their bytes, numbers by their spelling, objects in order.
  public static func == (left: JSONValue, right: JSONValue) -> Bool {
    switch (left, right) {
    case (.null, .null): true
    case (.bool(let left), .bool(let right)): left == right
    case (.number(let left), .number(let right)): left == right
    case (.string(let left), .string(let right)): ByteKey(left) == ByteKey(right)
    case (.array(let left), .array(let right)): left == right
    case (.object(let left), .object(let right)): left == right
    case (.null, _), (.bool, _), (.number, _), (.string, _), (.array, _), (.object, _): false
    }
  }
}

// MARK: - Made by programs

extension JSONValue {
  /// A number; `null` for NaN and infinities, which JSON can't spell.
  public init(_ value: Double) { self = JSONNumber(value).map(JSONValue.number) ?? .null }

  /// A number in the shortest form of a single-precision float; `null` for NaN and infinities.
  public init(_ value: Float) { self = JSONNumber(value).map(JSONValue.number) ?? .null }

  /// An integer.
  public init(_ value: some BinaryInteger) { self = .number(JSONNumber(value)) }
}

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByStringLiteral,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  /// `null`.
  public init(nilLiteral: ()) { self = .null }
  /// A boolean.
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  /// An integer.
  public init(integerLiteral value: Int) { self.init(value) }
  /// A number.
  public init(floatLiteral value: Double) { self.init(value) }
  /// A string.
  public init(stringLiteral value: String) { self = .string(value) }
  /// An array.
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  /// An object with its members in the order of the literal.
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(JSONObject(members: elements.map { (key: $0.0, value: $0.1) }))
  }
}
