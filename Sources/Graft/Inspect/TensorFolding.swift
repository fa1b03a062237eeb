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

  /// Stands for a number: no UTF-8 has this byte; a name that has it isn't taken apart.
  private static let mark: UInt8 = 0xFF

  init(capacity: Int) {
    homes.reserveCapacity(capacity)
    var size = 16
    while size < 2 * capacity { size *= 2 }
    table = [Int32](repeating: 0, count: size)
  }

  /// Adds the next tensor.
  mutating func add(_ tensor: TensorInfo) {
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
        return
      }
      slot = (slot + 1) & (table.count - 1)
    }
    homes.append(Int32(forms.count))
    forms.append(
      Form(
        pattern: pattern, dtype: tensor.dtype, shape: tensor.shape, hash: hash,
        numberCount: numbers.count - before, memberCount: 1))
    table[slot] = Int32(forms.count)
  }

  private func isForm(_ place: Int, _ tensor: TensorInfo, _ hash: Int) -> Bool {
    forms[place].hash == hash && forms[place].dtype == tensor.dtype
      && forms[place].shape == tensor.shape && forms[place].pattern == pattern
  }

  /// Takes the whole numbers between dividers out of a name; numbers with leading zeros are text.
  private mutating func split(_ name: [UInt8]) {
    pattern.removeAll(keepingCapacity: true)
    guard !name.contains(Self.mark) else {
      // Two marks side by side are no number's.
      pattern += name + [Self.mark, Self.mark]
      return
    }
    let span = name.span
    var index = 0
    var isBehindDivider = true
    while index < span.count {
      let byte = span[index]
      if isBehindDivider, byte &- 0x30 < 10 {
        var end = index
        var value = 0
        while end < span.count, span[end] &- 0x30 < 10, end - index < 18 {
          value = value &* 10 &+ Int(span[end] &- 0x30)
          end += 1
        }
        let isWhole = end == span.count || Self.isDivider(span[end])
        if isWhole, byte != 0x30 || end == index + 1 {
          pattern.append(Self.mark)
          numbers.append(value)
          index = end
          isBehindDivider = false
          continue
        }
      }
      pattern.append(byte)
      isBehindDivider = Self.isDivider(byte)
      index += 1
    }
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
      if byte == 0x2E || byte == 0x2F {
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

/// Numbers met in any order: a bit each while they are small, which most are.
private struct NumberSet {
  private var bits: [UInt64] = []
  private var large: Set<Int> = []

  mutating func insert(_ number: Int) {
    guard number < 1 << 16 else {
      large.insert(number)
      return
    }
    while bits.count <= number / 64 { bits.append(0) }
    bits[number / 64] |= 1 << UInt64(number % 64)
  }

  /// The numbers, rising.
  var sorted: [Int] {
    var result: [Int] = []
    for (index, word) in bits.enumerated() {
      var rest = word
      while rest != 0 {
        result.append(index * 64 + rest.trailingZeroBitCount)
        rest &= rest - 1
      }
    }
    return result + large.sorted()
  }
}
