internal import GraftCore

/// A metadata value of a GGUF file, typed as it is stored.
public enum GGUFValue: Sendable, Equatable {
  case unsigned(UInt64, bits: Int)
  case signed(Int64, bits: Int)
  case float32(Float)
  case float64(Double)
  case bool(Bool)
  case string(String)
  case array(GGUFArray)
}

/// The elements of a metadata array, all of one type.
public enum GGUFArray: Sendable, Equatable {
  case unsigned([UInt64], bits: Int)
  case signed([Int64], bits: Int)
  case float32([Float])
  case float64([Double])
  case bools([Bool])
  case strings([String])

  /// The number of elements.
  public var count: Int {
    switch self {
    case .unsigned(let elements, _): elements.count
    case .signed(let elements, _): elements.count
    case .float32(let elements): elements.count
    case .float64(let elements): elements.count
    case .bools(let elements): elements.count
    case .strings(let elements): elements.count
    }
  }

  /// The first elements as text.
  fileprivate func texts(prefix length: Int) -> [String] {
    switch self {
    case .unsigned(let elements, _): elements.prefix(length).map(String.init)
    case .signed(let elements, _): elements.prefix(length).map(String.init)
    case .float32(let elements): elements.prefix(length).map(\.description)
    case .float64(let elements): elements.prefix(length).map(\.description)
    case .bools(let elements): elements.prefix(length).map(\.description)
    case .strings(let elements): elements.prefix(length).map { $0 }
    }
  }
}

extension GGUFValue {
  /// An integer of any width that fits.
  public var int: Int? {
    switch self {
    case .unsigned(let value, _): Int(exactly: value)
    case .signed(let value, _): Int(exactly: value)
    case .float32, .float64, .bool, .string, .array: nil
    }
  }

  /// A float of either width.
  public var double: Double? {
    switch self {
    case .float32(let value): Double(value)
    case .float64(let value): value
    case .unsigned, .signed, .bool, .string, .array: nil
    }
  }

  /// A boolean.
  public var bool: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  /// A string.
  public var string: String? {
    if case .string(let value) = self { value } else { nil }
  }

  /// An array.
  public var array: GGUFArray? {
    if case .array(let value) = self { value } else { nil }
  }

  /// The name of the value's type, for messages.
  var typeName: String {
    switch self {
    case .unsigned(_, let bits): "u\(bits)"
    case .signed(_, let bits): "i\(bits)"
    case .float32: "f32"
    case .float64: "f64"
    case .bool: "bool"
    case .string: "string"
    case .array(let elements): "array of \(elements.count)"
    }
  }
}

extension GGUFValue: CustomStringConvertible {
  /// The value as text; of an array at most 64 elements and how many there are.
  public var description: String {
    switch self {
    case .unsigned(let value, _): String(value)
    case .signed(let value, _): String(value)
    case .float32(let value): value.description
    case .float64(let value): value.description
    case .bool(let value): value.description
    case .string(let value): value
    case .array(let elements):
      "[" + elements.texts(prefix: 64).joined(separator: ", ")
        + (elements.count > 64 ? ", … \(elements.count) in all]" : "]")
    }
  }
}
