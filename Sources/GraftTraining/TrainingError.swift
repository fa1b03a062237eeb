public import GraftCore

/// Why training can't start, go on or be resumed.
public struct TrainingError: DiagnosableError, Equatable {
  /// What is wrong.
  public var reason: Reason
  /// The file concerned, if one is.
  public var file: String?
  /// The line of the file, counted from 1, if one is.
  public var line: Int?
  /// What the user can do.
  public var remedy: String?

  /// The kinds of failure.
  public enum Reason: Sendable, Equatable {
    /// The data holds fewer tokens than one window.
    case tooLittleData(tokens: Int, needed: Int)
    /// A line of a JSON-lines file isn't what the format asks for.
    case badExample(expected: String, found: String)
    /// The saved state was written by a run with other settings.
    case stateMismatch(setting: String, expected: String, found: String)
    /// The saved state isn't what a run writes.
    case damagedState(expected: String, found: String)
    /// A line of a run's log isn't a step's record.
    case badRecord(expected: String, found: String)
    /// There is no log of a run.
    case noLog
    /// There is nothing to resume.
    case noState
    /// Something stands in the output's place already: another run, other files, a file.
    case outputExists(found: String)
    /// A setting is out of range.
    case invalidSetting(name: String, expected: String, found: String)
    /// An option contradicts the adapter that the run goes on from.
    case adapterMismatch(option: String, expected: String, found: String)
    /// The run can't be made to fit a budget of memory.
    case budgetTooSmall(byteCount: Int, least: Int)
    /// The loss or the gradient is NaN or infinite.
    case nonFinite(step: Int, quantity: String)
    /// The user interrupted the run; its state is saved.
    case interrupted(step: Int)
  }

  /// Whether the run had begun, so that its log tells of it.
  public var leavesLog: Bool {
    switch reason {
    case .nonFinite, .interrupted: true
    default: false
    }
  }

  /// What to do about a state that nobody can go on from.
  package static let remedyOfDamage =
    "go on from a copy of the directory, or train anew with another --out"

  /// Makes an error.
  public init(_ reason: Reason, file: String? = nil, line: Int? = nil, remedy: String? = nil) {
    self.reason = reason
    self.file = file
    self.line = line
    self.remedy = remedy
  }

  /// The error, taken apart for printing.
  public var diagnosis: Diagnosis {
    var place = file?.escapedWhole
    if let line { place = (place ?? "") + ", line \(line)" }
    switch reason {
    case .badExample(let expected, let found), .stateMismatch(_, let expected, let found),
      .invalidSetting(_, let expected, let found), .adapterMismatch(_, let expected, let found),
      .badRecord(let expected, let found), .damagedState(let expected, let found):
      let detail = "expected \(expected), found \(found.escapedShortened)"
      place = place.map { "\($0), \(detail)" } ?? detail
    case .tooLittleData, .noState, .noLog, .outputExists, .budgetTooSmall, .nonFinite, .interrupted:
      break
    }
    return Diagnosis(kind: kind, summary: summary, location: place, remedy: remedy)
  }

  private var kind: Diagnosis.Kind {
    switch reason {
    case .nonFinite: .nonFinite
    case .interrupted: .interrupted
    case .budgetTooSmall: .memory
    case .invalidSetting, .adapterMismatch: .usage
    case .outputExists: .inputOutput
    case .tooLittleData, .badExample, .stateMismatch, .damagedState, .noState, .badRecord,
      .noLog:
      .badInput
    }
  }

  private var summary: String {
    switch reason {
    case .tooLittleData(let tokens, let needed):
      "too little data: \(tokens) tokens, one window needs \(needed)"
    case .badExample: "a line of the data can't be used"
    case .stateMismatch(let setting, _, _): "the saved run used another \(setting)"
    case .damagedState: "the saved training state is damaged"
    case .badRecord: "a line of the training log can't be read"
    case .noLog: "no log of a training run here"
    case .noState: "nothing to resume: no training state here"
    case .outputExists(let found): "the output \(found)"
    case .invalidSetting(let name, _, _): "\(name) is out of range"
    case .adapterMismatch(let option, _, _): "\(option) contradicts the adapter of --from"
    case .budgetTooSmall(let byteCount, let least):
      "training doesn't fit into \(byteCount) bytes; the least possible is \(least)"
    case .nonFinite(let step, let quantity): "the \(quantity) is not finite at step \(step)"
    case .interrupted(let step): "interrupted after step \(step); the state is saved"
    }
  }
}
