public import GraftCore

/// What was checked of a checkpoint, and what is wrong with it.
public struct Verification: Sendable {
  /// The path.
  public let path: String
  /// What is wrong, in the order of the checks; empty when the checkpoint is sound.
  public internal(set) var defects: [Defect] = []
  /// The tensors that were read.
  public internal(set) var tensorCount = 0
  /// The bytes that were read.
  public internal(set) var byteCount = 0
  /// Tensors that `config.json` doesn't ask for (transformers' unexpected keys), which are no defect.
  public internal(set) var unexpected: [TensorInfo] = []
  /// What was held against what, in words.
  public internal(set) var checks: [String] = []
  /// What couldn't be checked, and why.
  public internal(set) var omissions: [String] = []

  /// Whether nothing is wrong.
  public var isSound: Bool { defects.isEmpty }

  init(path: String) { self.path = path }

  /// Runs a check; an error that tells of a defect becomes one, others are thrown on.
  mutating func check(_ name: String? = nil, _ body: (inout Verification) throws -> Void) throws {
    do {
      try body(&self)
      if let name { checks.append(name) }
    } catch {
      guard let defect = Defect(error, in: path) else { throw error }
      defects.append(defect)
    }
  }

  /// The verification as JSON.
  public var json: JSONValue {
    [
      "path": .string(path),
      "sound": .bool(isSound),
      "tensorCount": JSONValue(tensorCount),
      "byteCount": JSONValue(byteCount),
      "checks": .array(checks.map { .string($0) }),
      "omissions": .array(omissions.map { .string($0) }),
      "unexpected": .array(unexpected.map { .string($0.name.text) }),
      "defects": .array(
        defects.map(\.json)),
    ]
  }
}
