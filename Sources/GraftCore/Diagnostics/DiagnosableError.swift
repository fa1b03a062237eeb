/// An error that can be told to a person in at most three lines and mapped to one exit status.
///
/// Every module's error type conforms; the command prints them all in one place.
public protocol DiagnosableError: Error, Sendable, CustomStringConvertible {
  /// The error, taken apart for printing.
  var diagnosis: Diagnosis { get }
}

/// What went wrong, where, and what to do.
public struct Diagnosis: Sendable, Equatable {
  /// The kinds of failure that scripts can tell apart by exit status.
  public enum Kind: Sendable, Equatable {
    /// The call itself is wrong.
    case usage
    /// The input is malformed, unsupported or doesn't fit.
    case badInput
    /// The system couldn't read or write.
    case inputOutput
    /// The given budget of memory is too small.
    case memory
    /// Training met NaN or infinity.
    case nonFinite
    /// The user interrupted the work.
    case interrupted
  }

  /// The kind of failure.
  public var kind: Kind
  /// What went wrong, one line, lowercase, without a final period.
  public var summary: String
  /// Where: file, tensor, byte offset, expected and found; one line, or nil.
  public var location: String?
  /// What to do about it; one line, or nil.
  public var remedy: String?

  /// Makes a diagnosis.
  public init(kind: Kind, summary: String, location: String? = nil, remedy: String? = nil) {
    self.kind = kind
    self.summary = summary
    self.location = location
    self.remedy = remedy
  }
}

extension DiagnosableError {
  /// The diagnosis as up to three lines.
  public var description: String {
    let diagnosis = diagnosis
    return [diagnosis.summary, diagnosis.location, diagnosis.remedy].compactMap { $0 }
      .joined(separator: "\n")
  }
}
