internal import GraftCore

/// Finds out which tensors have one name but for numbers, in time that grows with the names' bytes.
struct TensorFolding {
  /// What the tensors of a group have in common.
  private struct Form {
    /// The name with ``mark`` in place of each number.
    let pattern: [UInt8]
    let dtype: DType
    let shape: Shape
    let hash: Int
    let numberCount: Int
    var memberCount = 0
  }

  private var forms: [Form] = []
  /// The group of each tensor.
  private var homes: [Int32] = []
  /// The numbers of all names, one tensor after another.
  private var numbers: [Int] = []
  /// Open addressing: positions of forms from 1 on.
  private var table: [Int32]
  private var pattern: [UInt8] = []
  /// The form of the tensor before, and for each form the one that came after it last: layers repeat them in turn.
  private var last: Int?
  private var followers: [Int?] = []

  /// Stands for a number: no UTF-8 has this byte; a name that has it isn't taken apart.
  private static let mark: UInt8 = 0xFF
  /// The numbers and components of a name that are told apart; a real name has a dozen.
  private static let mostNumbers = 64
  private static let mostComponents = 64

  init(capacity: Int) {
    homes.reserveCapacity(capacity)
    var size = 16
    while size < 2 * capacity { size *= 2 }
    table = [Int32](repeating: 0, count: size)
  }

  /// Adds the next tensor.
  mutating func add(_ tensor: TensorInfo) {
    if let last, let next = followers[last], takes(tensor, next) {
      homes.append(Int32(next))
      forms[next].memberCount += 1
      self.last = next
      return
    }
    let place = place(of: tensor)
    if let last { followers[last] = place }
    last = place
  }

  /// Whether a tensor is of a form; its numbers are kept if so.
  private mutating func takes(_ tensor: TensorInfo, _ form: Int) -> Bool {
    guard forms[form].dtype == tensor.dtype, forms[form].shape == tensor.shape else { return false }
    return Self.takes(tensor.name.utf8, like: forms[form].pattern, &numbers)
  }

  /// Finds the form of a tensor, or adds it.
  private mutating func place(of tensor: TensorInfo) -> Int {
    let before = numbers.count
    split(tensor.name.utf8)
    var hasher = Hasher()
    hasher.combine(tensor.dtype)
    for extent in tensor.shape.dimensions { hasher.combine(extent) }
    unsafe pattern.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    let hash = hasher.finalize()
    var slot = hash & (table.count - 1)
    while table[slot] != 0 {
      let place = Int(table[slot]) - 1
      if isForm(place, tensor, hash) {
        homes.append(Int32(place))
        forms[place].memberCount += 1
        return place
      }
      slot = (slot + 1) & (table.count - 1)
    }
    homes.append(Int32(forms.count))
    forms.append(
      Form(
        pattern: pattern, dtype: tensor.dtype, shape: tensor.shape, hash: hash,
        numberCount: numbers.count - before, memberCount: 1))
    followers.append(nil)
    table[slot] = Int32(forms.count)
    return forms.count - 1
  }

  private func isForm(_ place: Int, _ tensor: TensorInfo, _ hash: Int) -> Bool {
    forms[place].hash == hash && forms[place].dtype == tensor.dtype
      && forms[place].shape == tensor.shape && forms[place].pattern.hasSameBytes(as: pattern)
  }

  /// Takes the whole numbers between dividers out of a name; numbers with leading zeros, and those behind many others, are text.
  private mutating func split(_ name: [UInt8]) {
    pattern.removeAll(keepingCapacity: true)
    let before = numbers.count
    let span = name.span
    // What is before `copied` is in the pattern.
    var (copied, index) = (0, 0)
    var isBehindDivider = true
    while index < span.count {
      let byte = span[index]
      guard byte != Self.mark else {
        // Two marks side by side are no number's.
        numbers.removeLast(numbers.count - before)
        pattern = name + [Self.mark, Self.mark]
        return
      }
      guard isBehindDivider, byte &- 0x30 < 10 else {
        isBehindDivider = Self.isDivider(byte)
        index += 1
        continue
      }
      isBehindDivider = false
      guard numbers.count - before < Self.mostNumbers,
        let number = Self.number(span, at: index)
      else {
        index += 1
        continue
      }
      pattern += name[copied..<index]
      pattern.append(Self.mark)
      numbers.append(number.value)
      (copied, index) = (number.end, number.end)
    }
    pattern += name[copied...]
  }

  /// The whole number that a name has at a place, up to a divider or the end.
  private static func number(_ name: Span<UInt8>, at start: Int) -> (value: Int, end: Int)? {
    var end = start
    var value = 0
    while end < name.count, name[end] &- 0x30 < 10, end - start < 18 {
      value = value &* 10 &+ Int(name[end] &- 0x30)
      end += 1
    }
    guard end > start, end == name.count || isDivider(name[end]) else { return nil }
    return name[start] != 0x30 || end == start + 1 ? (value, end) : nil
  }

  /// Whether ``split(_:)`` would make this pattern of a name; the numbers are added if so.
  private static func takes(
    _ name: [UInt8], like pattern: [UInt8], _ numbers: inout [Int]
  ) -> Bool {
    let before = numbers.count
    let text = name.span
    let form = pattern.span
    var index = 0
    for place in 0..<form.count {
      if form[place] == mark {
        guard let number = number(text, at: index) else { break }
        numbers.append(number.value)
        index = number.end
      } else {
        guard index < text.count, text[index] == form[place] else { break }
        index += 1
      }
      if place == form.count - 1, index == text.count { return true }
    }
    numbers.removeLast(numbers.count - before)
    return false
  }

  private static func isDivider(_ byte: UInt8) -> Bool {
    byte == 0x2E || byte == 0x2F || byte == 0x5F  // . / _
  }

  // MARK: - Groups

  /// The groups in the order of their first tensors.
  var groups: [TensorGroup] {
    var members = forms.map { form in
      var list: [Int] = []
      list.reserveCapacity(form.memberCount)
      return list
    }
    var values = forms.map { form in
      [NumberSet](repeating: NumberSet(), count: form.numberCount)
    }
    var next = 0
    for (position, home) in homes.enumerated() {
      let place = Int(home)
      members[place].append(position)
      for part in 0..<forms[place].numberCount {
        values[place][part].insert(numbers[next])
        next += 1
      }
    }
    return forms.indices.map { place in
      TensorGroup(
        components: Self.components(of: forms[place].pattern, values[place].map(\.sorted)),
        members: members[place])
    }
  }

  private static func components(
    of pattern: [UInt8], _ numbers: [[Int]]
  ) -> [[TensorGroup.Piece]] {
    guard !pattern.suffix(2).elementsEqual([mark, mark]) else {
      return [[.text(Array(pattern.dropLast(2)))]]
    }
    var components: [[TensorGroup.Piece]] = []
    var pieces: [TensorGroup.Piece] = []
    var text: [UInt8] = []
    var next = 0
    func flushed() -> [TensorGroup.Piece] { text.isEmpty ? pieces : pieces + [.text(text)] }
    for byte in pattern {
      if byte == mark {
        pieces = flushed() + [.numbers(numbers[next])]
        text = []
        next += 1
        continue
      }
      if byte == 0x2E || byte == 0x2F, components.count < mostComponents {
        let component = flushed()
        if !component.isEmpty { components.append(component) }
        (pieces, text) = ([], [])
      }
      text.append(byte)
    }
    let last = flushed()
    if !last.isEmpty || components.isEmpty { components.append(last) }
    return components
  }
}
