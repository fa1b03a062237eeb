/// The lists of whole numbers met last: the many tensors of one shape share theirs.
struct RecentIntegers {
  private var lists: [[Int]] = []
  private var oldest = 0

  private static let capacity = 8

  /// The values as whole numbers; nil where others are among them.
  mutating func list(of values: ArraySlice<PickleValue>) -> [Int]? {
    for list in lists where Self.isEqual(list, values) { return list }
    var list: [Int] = []
    list.reserveCapacity(min(values.count, 8))
    for value in values {
      guard case .integer(let integer) = value else { return nil }
      list.append(integer)
    }
    if lists.count < Self.capacity {
      lists.append(list)
    } else {
      lists[oldest] = list
      oldest = (oldest + 1) % Self.capacity
    }
    return list
  }

  private static func isEqual(_ list: [Int], _ values: ArraySlice<PickleValue>) -> Bool {
    guard list.count == values.count else { return false }
    var position = values.startIndex
    for integer in list {
      guard case .integer(integer) = values[position] else { return false }
      position += 1
    }
    return true
  }
}
