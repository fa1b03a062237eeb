/// Numbers met in any order: a list that is put in order, each once, whenever it has doubled.
struct NumberSet {
  private var numbers: [Int] = []
  private var limit = 64

  mutating func insert(_ number: Int) {
    guard numbers.last != number else { return }
    numbers.append(number)
    guard numbers.count >= limit else { return }
    numbers = sorted
    limit = max(limit, 2 * numbers.count)
  }

  /// The numbers, rising.
  var sorted: [Int] {
    var result: [Int] = []
    for number in numbers.sorted() where result.last != number { result.append(number) }
    return result
  }
}
