/// Names that are there once each: one that is taken gets a number behind it, the first that is free.
struct UniqueNames {
  private var taken: Set<[UInt8]> = []
  /// The number that the next copy of a name tries first: those below it are taken, and stay so.
  private var copies: [[UInt8]: Int] = [:]

  /// Names that are there already.
  init(_ names: [[UInt8]] = []) { taken = Set(names) }

  /// Takes a name, or the first of its copies that is free.
  mutating func take(_ name: [UInt8]) -> [UInt8] {
    var unique = name
    while !taken.insert(unique).inserted {
      let copy = copies[name, default: 1]
      copies[name] = copy + 1
      unique = name + Array("_\(copy)".utf8)
    }
    return unique
  }
}
