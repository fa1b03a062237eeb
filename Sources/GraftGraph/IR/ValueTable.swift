/// Something for each of a graph's values, looked up without hashing.
struct ValueTable<Element> {
  private var elements: [Element]
  /// No operation has more results.
  private static var resultCount: Int { 4 }

  /// Makes a table for a graph's values that gives `absent` for each.
  init(_ graph: Graph, absent: Element) {
    elements = Array(repeating: absent, count: graph.nodes.count * Self.resultCount)
  }

  /// What is known of a value.
  subscript(value: Value) -> Element {
    get { elements[place(value)] }
    _modify { yield &elements[place(value)] }
  }

  private func place(_ value: Value) -> Int {
    precondition(value.result < Self.resultCount, "an operation has at most 4 results")
    return value.node * Self.resultCount + value.result
  }
}
