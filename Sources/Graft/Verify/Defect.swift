public import GraftCore

/// Something that is wrong with a checkpoint.
public struct Defect: Sendable, Equatable {
  /// The file that it stands in.
  public let file: String
  /// The tensor concerned, if one is.
  public let tensor: TensorName?
  /// The byte of the file, if the defect has a place.
  public let offset: Int?
  /// What is wrong, one line.
  public let problem: String

  init(file: String, tensor: TensorName? = nil, offset: Int? = nil, _ problem: String) {
    self.file = file
    self.tensor = tensor
    self.offset = offset
    self.problem = problem
  }

  /// The defect that an error tells of, if it tells of one; the system's failures are none.
  init?(_ error: any Error, in path: String) {
    guard let error = error as? any DiagnosableError, error.diagnosis.kind == .badInput else {
      return nil
    }
    var problem = error.diagnosis.summary
    let storage = error as? StorageError
    switch storage?.reason {
    case .unsupported, .unrecognized: return nil
    default: break
    }
    var details = error.diagnosis.location ?? ""
    if let storage {
      // File, tensor and offset have places of their own.
      for part in [
        storage.file.escapedWhole, storage.tensor.map { "tensor \($0)" },
        storage.offset.map { "byte \($0)" },
      ] {
        if let part, details.hasPrefix(part) {
          details = String(details.dropFirst(part.count))
          if details.hasPrefix(", ") { details = String(details.dropFirst(2)) }
        }
      }
    }
    if !details.isEmpty { problem += ": " + details }
    self.init(
      file: storage?.file ?? path, tensor: storage?.tensor, offset: storage?.offset, problem)
  }
}

extension Defect {
  /// The defect as JSON.
  var json: JSONValue {
    [
      "file": .string(file),
      "tensor": tensor.map { .string($0.text) } ?? .null,
      "offset": offset.map { JSONValue($0) } ?? .null,
      "problem": .string(problem),
    ]
  }
}

extension Defect: CustomStringConvertible {
  /// One line: the place, then the problem.
  public var description: String {
    let place = [
      file.escapedWhole, tensor.map { "tensor \($0)" }, offset.map { "byte \($0)" },
    ].compactMap { $0 }.joined(separator: ", ")
    return place + ": " + problem
  }
}
