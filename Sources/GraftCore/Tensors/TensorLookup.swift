/// Finds tensors by their names: a few by a look through the list, many by a table, which costs as much as a few dozen looks.
package struct TensorLookup {
  private let tensors: [TensorInfo]
  private let table: NameTable?

  private static let fewNames = 4

  /// Prepares for about so many names.
  package init(_ tensors: [TensorInfo], for count: Int) {
    self.tensors = tensors
    table = count > Self.fewNames ? NameTable(tensors) : nil
  }

  /// The position of a tensor; nil when none has the name.
  package func position(of name: TensorName) -> Int? {
    guard let table else { return tensors.firstIndex { $0.name == name } }
    return table.position(of: name, in: tensors)
  }
}
