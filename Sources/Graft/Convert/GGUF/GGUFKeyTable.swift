internal import GraftCore

/// What becomes in GGUF of the keys of an object in a model directory's file.
///
/// Keys without a value say nothing, nor do those that only repeat what would be so without them. What is in no table may change what
/// is computed.
struct GGUFKeyTable: Sendable {
  /// What GGUF's keys say, or the shapes and types of its tensors, or what is refused where it isn't as GGUF's readers take it.
  var held: Set<String> = []
  /// What nothing depends on of what a model computes.
  var free: Set<String> = []
  /// How keys end on which nothing depends either.
  var freeEndings: [String] = []
  /// Switches that are off in every model.
  var off: Set<String> = []
  /// Numbers that say what would be so without them.
  var usual: [String: Double] = [:]
  /// Texts that do.
  var usualTexts: [String: String] = [:]
  /// Objects whose members have tables of their own.
  var nested: [String: GGUFKeyTable] = [:]

  /// The keys of an object that GGUF doesn't say: those that nothing depends on, and all others.
  func unheld(
    in json: JSONValue, below prefix: String = ""
  ) -> (bookkeeping: [String], others: [String]) {
    var bookkeeping: [String] = []
    var others: [String] = []
    for (key, value) in json.object?.members ?? [] {
      if let table = nested[key], value.object != nil {
        let inner = table.unheld(in: value, below: prefix + key + ".")
        bookkeeping += inner.bookkeeping
        others += inner.others
      } else if held.contains(key) || isUsual(value, of: key) {
        continue
      } else if free.contains(key) || freeEndings.contains(where: key.hasSuffix) {
        bookkeeping.append(prefix + key)
      } else {
        others.append(prefix + key)
      }
    }
    return (bookkeeping, others)
  }

  /// Whether a key says no more than would be so without it.
  private func isUsual(_ value: JSONValue, of key: String) -> Bool {
    if value.isNull || value.array?.isEmpty == true || value.object?.members.isEmpty == true {
      return true
    }
    if let number = value.double { return usual[key] == number }
    if let text = value.string { return usualTexts[key] == text }
    return value.bool == false && off.contains(key)
  }

  /// The same with what another table has for keys of its own.
  func adding(_ other: GGUFKeyTable) -> GGUFKeyTable {
    var sum = self
    sum.held.formUnion(other.held)
    sum.free.formUnion(other.free)
    sum.freeEndings += other.freeEndings
    sum.off.formUnion(other.off)
    sum.usual.merge(other.usual) { own, _ in own }
    sum.usualTexts.merge(other.usualTexts) { own, _ in own }
    sum.nested.merge(other.nested) { own, _ in own }
    return sum
  }
}
