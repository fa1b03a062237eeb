/// The names of a container's parts, which have to differ: each is looked up among those before it.
///
/// The names keep the memory that they have; a place in the table takes some ten bytes. Where a list of the parts is at hand,
/// ``NameTable/insert(_:at:among:)`` does without one of names.
package struct DistinctNames: Sendable {
  private var names: [TensorName] = []
  private var table: NameTable

  /// No names, with room for some.
  package init(reserving count: Int = 0) { table = NameTable(reserving: count) }

  /// How many names there are.
  package var count: Int { names.count }

  /// Adds a name; false where it is there.
  package mutating func insert(_ name: TensorName) -> Bool {
    let isNew = table.add(NameTable.hash(name.utf8), at: names.count) { names[$0] == name }
    if isNew { names.append(name) }
    return isNew
  }
}

extension NameTable {
  /// Adds the name of a part at a position; false where one of the parts before has it.
  ///
  /// - Parameter name: The name at a position that was added.
  package mutating func insert(
    _ new: TensorName, at position: Int, among name: (_ position: Int) -> TensorName
  ) -> Bool {
    add(Self.hash(new.utf8), at: position) { name($0) == new }
  }
}

// MARK: - What is said of a name that occurs twice

extension StorageError {
  /// The error for a name that a file has twice, against a rule of its format.
  package static func repeated(
    _ name: some CustomStringConvertible, rule: String, file: String, tensor: TensorName? = nil,
    offset: Int? = nil
  ) -> StorageError {
    StorageError(
      .malformed(rule: rule, expected: "each name once", found: "'\(name)' again"), file: file,
      tensor: tensor, offset: offset)
  }
}

extension Sequence<TensorName> {
  /// Checks that no two parts of a file that is to be written have one name.
  ///
  /// - Parameter parts: What has the names, where it isn't tensors.
  /// - Throws: ``StorageError/Reason/notRepresentable(what:inFormat:)``.
  package func checkDiffer(
    _ parts: String? = nil, inFormat format: String, rule: String? = nil, file: String
  ) throws(StorageError) {
    var names = DistinctNames(reserving: underestimatedCount)
    for name in self where !names.insert(name) {
      let citation = rule.map { " (\($0))" } ?? ""
      let what = parts.map { "two \($0) of one name, '\(name)'" } ?? "two tensors of one name"
      throw StorageError(
        .notRepresentable(what: what + citation, inFormat: format), file: file,
        tensor: parts == nil ? name : nil)
    }
  }
}
