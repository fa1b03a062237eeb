/// Passes on a stream of text up to a mark, which may come in several pieces.
///
/// What may be the beginning of the mark is held back until it is known.
public struct TextBeforeMark: Sendable {
  private let mark: [UInt8]
  private var held: [UInt8] = []
  /// Whether the mark has come; what follows it is dropped.
  public private(set) var isFound = false

  /// Looks for a mark; an empty one never comes.
  public init(_ mark: String) { self.mark = Array(mark.utf8) }

  /// Takes the next piece of text; what can be passed on of it and of what was held back.
  public mutating func append(_ piece: String) -> String {
    guard !isFound else { return "" }
    guard !mark.isEmpty else { return piece }
    held += Array(piece.utf8)
    let starts = held.indices.filter { mark.starts(with: held[$0...].prefix(mark.count)) }
    let found = starts.first { held.count - $0 >= mark.count }
    isFound = found != nil
    let end = found ?? starts.first ?? held.count
    defer { held.removeFirst(end) }
    return String(decoding: held[..<end], as: UTF8.self)
  }

  /// Ends the text; what was held back, which isn't the mark.
  public mutating func finish() -> String {
    defer { held = [] }
    return isFound ? "" : String(decoding: held, as: UTF8.self)
  }
}
