/// Which modules of a base get an update.
public enum TargetModules: Sendable, Equatable {
  /// Modules whose path is one of the names or ends in a dot and a name.
  case names([String])
  /// Modules whose whole path matches a regular expression.
  case pattern(ModulePattern)
  /// All linear modules but the output head.
  case allLinear

  /// The word for all linear modules, in configurations and on the command line.
  public static let allLinearName = "all-linear"

  /// Reads what a user writes: `all-linear`, names divided by commas, or a regular expression.
  ///
  /// Text is a list of names when it holds only letters, digits, `_`, `-`, `.` and commas.
  /// - Throws: ``AdapterError/Reason/invalidPattern(pattern:position:problem:)``.
  public init(parsing text: String) throws(AdapterError) {
    if text.lowercased() == Self.allLinearName {
      self = .allLinear
    } else if text.utf8.allSatisfy({ Self.nameBytes.contains($0) }) {
      self = .names(text.split(separator: ",").map(String.init))
    } else {
      self = .pattern(try ModulePattern(text))
    }
  }

  /// The selection as a user writes it.
  package var text: String {
    switch self {
    case .names(let names): names.joined(separator: ",")
    case .pattern(let pattern): pattern.text
    case .allLinear: Self.allLinearName
    }
  }

  private static let nameBytes: ByteSet = {
    var set = ByteSet.word
    for byte in ",.-".utf8 { set.insert(byte) }
    return set
  }()
}

extension TargetModules: ExpressibleByArrayLiteral {
  /// Makes a list of names.
  public init(arrayLiteral names: String...) { self = .names(names) }
}

/// The names that modules are excluded by: a list, or a regular expression over whole paths.
public enum ModuleSelection: Sendable, Equatable {
  /// Modules whose path is one of the names or ends in a dot and a name.
  case names([String])
  /// Modules whose whole path matches.
  case pattern(ModulePattern)

  /// Whether a module is selected.
  public func contains(_ path: String) -> Bool {
    switch self {
    case .names(let names): names.contains { isPath(path, endingIn: $0) }
    case .pattern(let pattern): pattern.matches(path)
    }
  }
}

/// Whether a module's path is the name or ends in a dot and the name.
package func isPath(_ path: String, endingIn name: String) -> Bool {
  let path = path.utf8
  let name = name.utf8
  guard path.count > name.count else { return path.elementsEqual(name) }
  let tail = path.suffix(name.count + 1)
  return tail.first == UInt8(ascii: ".") && tail.dropFirst().elementsEqual(name)
}
