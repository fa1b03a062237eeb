/// The members of a JSON object in source order, found by the bytes of their keys.
///
/// Keys that are canonically equivalent Unicode but different bytes are different keys.
public struct JSONObject: Sendable, Equatable {
  /// The members in source order.
  public let members: [(key: String, value: JSONValue)]
  /// Positions by key, for objects too big to look through.
  private let positions: [ByteKey: Int]

  /// Makes an object; of members with one key the first is found.
  public init(members: [(key: String, value: JSONValue)]) {
    self.members = members
    positions =
      members.count <= 8
      ? [:]
      : Dictionary(
        members.enumerated().map { (ByteKey($1.key), $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// The value of a key; nil when it is absent.
  public subscript(_ key: String) -> JSONValue? { position(of: key).map { members[$0].value } }

  /// The keys in source order.
  public var keys: [String] { members.map(\.key) }

  /// Whether two objects have the same members in the same order.
  public static func == (left: JSONObject, right: JSONObject) -> Bool {
    left.members.count == right.members.count
      && zip(left.members, right.members).allSatisfy {
        ByteKey($0.key) == ByteKey($1.key) && $0.value == $1.value
      }
  }

  /// The position of the second of two members with one key.
  var duplicate: Int? {
    members.indices.first { position(of: members[$0].key) != $0 }
  }

  private func position(of key: String) -> Int? {
    members.count <= 8
      ? members.firstIndex { ByteKey($0.key) == ByteKey(key) } : positions[ByteKey(key)]
  }
}

/// A string compared and hashed by its bytes.
struct ByteKey: Hashable {
  let string: String

  init(_ string: String) { self.string = string }

  static func == (left: ByteKey, right: ByteKey) -> Bool {
    left.string.utf8.elementsEqual(right.string.utf8)
  }

  func hash(into hasher: inout Hasher) {
    var word: UInt64 = 0
    var count = 0
    for byte in string.utf8 {
      word = word << 8 | UInt64(byte)
      count += 1
      if count & 7 == 0 { hasher.combine(word) }
    }
    hasher.combine(word)
    hasher.combine(count)
  }
}
