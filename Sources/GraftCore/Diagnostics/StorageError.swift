/// Why a file could not be read or written: the error of every storage module.
public struct StorageError: DiagnosableError, Equatable {
  /// What went wrong.
  public var reason: Reason
  /// The file or directory concerned.
  public var file: String
  /// The tensor concerned, if one is.
  public var tensor: TensorName?
  /// The byte of the file where the defect stands, if it has a place.
  public var offset: Int?
  /// What the user can do.
  public var remedy: String?

  /// The kinds of defect and failure.
  public enum Reason: Sendable, Equatable {
    /// Nothing is at the path.
    case notFound
    /// The path leads to something that isn't a regular file (or a directory where one is meant).
    case notRegular(found: String)
    /// The file was written to while it was read.
    case changed(expectedBytes: Int, foundBytes: Int)
    /// A system call failed.
    case system(call: String, errno: Int32)
    /// The system gives no memory.
    case noMemory
    /// The target's file system hasn't the room.
    case noSpace(neededBytes: Int, availableBytes: Int)
    /// The target exists and isn't Graft's to replace.
    case alreadyExists
    /// The file ends before what it declares.
    case truncated(part: String, expectedBytes: Int, foundBytes: Int)
    /// The file breaks a numbered rule of its format, for example `safetensors S-9`.
    case malformed(rule: String, expected: String, found: String)
    /// Size arithmetic on the file's numbers overflows.
    case overflow(part: String)
    /// A declared number is above a named limit.
    case limitExceeded(limit: String, maximum: Int, found: String)
    /// The file is well formed and uses something that isn't supported.
    case unsupported(feature: String, found: String)
    /// The file is legal and refused for safety: a link, code, a path that leaves its directory.
    case refused(policy: String, found: String)
    /// Two parts, or two files, disagree.
    case mismatch(subject: String, expected: String, found: String)
    /// The content is none of the formats that are read here.
    case unrecognized(expected: String)
    /// The target format can't hold the value.
    case notRepresentable(what: String, inFormat: String)
  }

  /// Makes an error.
  public init(
    _ reason: Reason, file: String, tensor: TensorName? = nil, offset: Int? = nil,
    remedy: String? = nil
  ) {
    self.reason = reason
    self.file = file
    self.tensor = tensor
    self.offset = offset
    self.remedy = remedy
  }

  /// The error for a failed system call, with `errno`'s common values told apart.
  public init(call: String, errno code: Int32, file: String) {
    switch code {
    case ENOENT: self.init(.notFound, file: file)
    case ENOMEM: self.init(.noMemory, file: file)
    case ENAMETOOLONG:
      self.init(
        .system(call: call, errno: code), file: file,
        remedy: "a name has at most 255 bytes, a path 4,095")
    default: self.init(.system(call: call, errno: code), file: file)
    }
  }

  /// The error for memory that can't be had.
  package static func noMemory(for what: String) -> StorageError {
    StorageError(.noMemory, file: what, remedy: "free memory, or ask for less of it")
  }
}

internal import Glibc

extension StorageError {
  /// The error, taken apart for printing.
  public var diagnosis: Diagnosis {
    Diagnosis(kind: kind, summary: summary, location: location, remedy: remedy)
  }

  private var kind: Diagnosis.Kind {
    switch reason {
    case .noMemory: .memory
    case .notFound, .notRegular, .changed, .system, .noSpace, .alreadyExists: .inputOutput
    case .truncated, .malformed, .overflow, .limitExceeded, .unsupported, .refused, .mismatch,
      .unrecognized, .notRepresentable:
      .badInput
    }
  }

  private var summary: String {
    switch reason {
    case .notFound: "no such file or directory"
    case .notRegular(let found): "expected a regular file, found \(found)"
    case .changed: "the file was written to while it was read"
    case .system(let call, let code): "\(call) failed: \(describe(errno: code))"
    case .noMemory: "not enough memory"
    case .noSpace(let needed, let available):
      "not enough space: \(needed) bytes needed, \(available) bytes available"
    case .alreadyExists: "the target exists already"
    case .truncated(let part, _, _): "the file ends inside its \(part)"
    case .malformed(let rule, _, _): "malformed file (\(rule))"
    case .overflow(let part): "the size of the \(part) overflows"
    case .limitExceeded(let limit, let maximum, _): "more than the limit of \(maximum) \(limit)"
    case .unsupported(let feature, _): "unsupported \(feature)"
    case .refused(let policy, _): "refused: \(policy)"
    case .mismatch(let subject, _, _): "\(subject) doesn't match"
    case .unrecognized: "the format isn't recognized"
    case .notRepresentable(let what, let format): "\(format) can't hold \(what)"
    }
  }

  private var location: String {
    var parts = [file.escapedWhole]
    if let tensor { parts.append("tensor \(tensor)") }
    if let offset { parts.append("byte \(offset)") }
    switch reason {
    case .changed(let expected, let found) where expected == found: break
    case .truncated(_, let expected, let found), .changed(let expected, let found):
      parts.append("expected \(expected) bytes, found \(found)")
    case .malformed(_, let expected, let found), .mismatch(_, let expected, let found):
      parts.append("expected \(expected), found \(found.escapedShortened)")
    case .limitExceeded(_, _, let found), .unsupported(_, let found), .refused(_, let found):
      parts.append("found \(found.escapedShortened)")
    case .unrecognized(let expected): parts.append("expected \(expected)")
    case .notFound, .notRegular, .system, .noMemory, .noSpace, .alreadyExists, .overflow,
      .notRepresentable:
      break
    }
    return parts.joined(separator: ", ")
  }
}

/// The system's words for an error number.
func describe(errno code: Int32) -> String {
  var buffer = [CChar](repeating: 0, count: 256)
  guard unsafe strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
  return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
