extension Mutator {
  /// Changes a few opcodes of a pickle, and lets its frames end where the pickle does.
  mutating func pickleMutant(of bytes: [UInt8]) -> [UInt8] {
    // A bare pickle begins as one of an archive's.
    let inside = Archive(bytes)?.members.first { $0.isPickle }?.contents
    var (tokens, tail) = PickleTokens.taken(apart: inside ?? bytes)
    guard !tokens.isEmpty else { return generalMutant(of: bytes, atMost: maximum) }
    for _ in 0..<1 + next(3) { change(&tokens) }
    if next(4) > 0 { PickleTokens.fitFrames(&tokens) }
    return Array(tokens.joined()) + tail
  }

  private mutating func change(_ tokens: inout [[UInt8]]) {
    guard !tokens.isEmpty else { return }
    let chosen = next(tokens.count)
    switch next(9) {
    case 0: tokens.remove(at: chosen)
    case 1: tokens.insert(tokens[chosen], at: next(tokens.count + 1))
    case 2: tokens.swapAt(chosen, next(tokens.count))
    case 3:
      // A run of opcodes, often a whole value, comes again.
      let run = Array(tokens[chosen..<min(tokens.count, chosen + 1 + next(24))])
      tokens.insert(contentsOf: run, at: next(2) > 0 ? chosen : next(tokens.count + 1))
    case 4: tokens[chosen] = PickleTokens.repertoire[next(PickleTokens.repertoire.count)]
    case 5: tokens.insert(PickleTokens.repertoire[next(PickleTokens.repertoire.count)], at: chosen)
    case 6:
      // Numbers are few among opcodes: those that come first from here on.
      guard let place = tokens[chosen...].firstIndex(where: { PickleTokens.isNumber($0[0]) }) else {
        break
      }
      let width = tokens[place].count - 1
      let value = boundary(near: tokens[place][1...].number, size: tokens.count)
      tokens[place] = [tokens[place][0]] + value.littleEndian(width)
    default:
      guard let place = tokens[chosen...].firstIndex(where: { PickleTokens.lengthWidth($0[0]) > 0 })
      else { break }
      let width = PickleTokens.lengthWidth(tokens[place][0])
      let text = generalMutant(of: Array(tokens[place][(1 + width)...]), atMost: 128)
      tokens[place] = [tokens[place][0]] + text.count.littleEndian(width) + text
    }
  }
}

/// The opcodes of pickles, each with its argument.
enum PickleTokens {
  /// Takes pickles apart, as far as they can be followed; the rest is their tail.
  static func taken(apart bytes: [UInt8]) -> (tokens: [[UInt8]], tail: [UInt8]) {
    var tokens: [[UInt8]] = []
    var place = 0
    while place < bytes.count, let count = length(at: place, in: bytes) {
      tokens.append(Array(bytes[place..<place + count]))
      place += count
      // Behind a pickle comes another one, or data.
      if tokens.last == [0x2E], place < bytes.count, bytes[place] != 0x80 { break }
    }
    return (tokens, Array(bytes[place...]))
  }

  /// The bytes of an opcode and its argument; nil where they aren't all there.
  private static func length(at place: Int, in bytes: [UInt8]) -> Int? {
    let opcode = bytes[place]
    let left = bytes.count - place
    let width = lengthWidth(opcode)
    let lines = opcode == 0x63 || opcode == 0x69 ? 2 : "ILFSVPgp".utf8.contains(opcode) ? 1 : 0
    var count = 1
    if width > 0 {
      guard left > width else { return nil }
      let text = bytes[place + 1..<place + 1 + width].number
      guard text >= 0, text < left - width else { return nil }
      count += width + text
    } else if lines > 0 {
      for _ in 0..<lines {
        guard let end = bytes[(place + count)...].firstIndex(of: 0x0A) else { return nil }
        count = end + 1 - place
      }
    } else {
      count += numberWidth(opcode)
    }
    return count <= left ? count : nil
  }

  /// The bytes of the length before an argument: of texts, bytes and long integers.
  static func lengthWidth(_ opcode: UInt8) -> Int {
    switch opcode {
    case 0x8A, 0x8C, 0x55, 0x43: 1
    case 0x8B, 0x58, 0x54, 0x42: 4
    case 0x8D, 0x8E, 0x96: 8
    default: 0
    }
  }

  /// Whether the argument is a number.
  static func isNumber(_ opcode: UInt8) -> Bool { numberWidth(opcode) > 0 }

  private static func numberWidth(_ opcode: UInt8) -> Int {
    switch opcode {
    case 0x80, 0x4B, 0x71, 0x68, 0x82: 1
    case 0x4D, 0x83: 2
    case 0x4A, 0x72, 0x6A, 0x84: 4
    case 0x47, 0x95: 8
    default: 0
    }
  }

  /// Lets every frame end with the pickle that it stands in.
  static func fitFrames(_ tokens: inout [[UInt8]]) {
    for place in tokens.indices where tokens[place].first == 0x95 {
      let end = tokens[(place + 1)...].firstIndex(of: [0x2E]).map { $0 + 1 } ?? tokens.count
      let byteCount = tokens[(place + 1)..<end].reduce(0) { $0 + $1.count }
      tokens[place] = [0x95] + byteCount.littleEndian(8)
    }
  }

  /// What may stand anywhere: opcodes, and values of a few of them.
  static let repertoire: [[UInt8]] = {
    var result = ["q\0", "h\0", "q\u{1}", "h\u{1}", "K\u{2}", "M\0\u{4}"].map { Array($0.utf8) }
    result += [0x28, 0x4E, 0x74, 0x61, 0x65, 0x75, 0x73, 0x51, 0x52, 0x62, 0x5D, 0x7D, 0x29].map {
      [$0]
    }
    result += [0x81, 0x85, 0x86, 0x87, 0x88, 0x8F, 0x90, 0x91, 0x93, 0x94].map { [$0] }
    for name in [
      "collections\nOrderedDict", "torch._utils\n_rebuild_tensor_v2", "torch\nSize",
      "torch._utils\n_rebuild_parameter", "torch\nFloatStorage", "torch\nfloat32", "builtins\nset",
      "torch\ndevice", "_codecs\nencode", "torch._utils\n_rebuild_sparse_tensor", "torch\nTensor",
      "torch._tensor\n_rebuild_from_type_v2", "torch.storage\nUntypedStorage",
      "torch._utils\n_rebuild_tensor_v3", "torch\nfloat4_e2m1fn_x2",
    ] {
      result.append(Array("c\(name)\n".utf8))
    }
    let storage = "(X\u{7}\0\0\0storagectorch\nFloatStorage\nX\u{1}\0\0\00X\u{3}\0\0\0cpuK\u{4}tQ"
    let tensor = "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + "K\0K\u{4}"
    result.append(Array(storage.utf8))
    result.append(Array(tensor.utf8) + [0x85, 0x4B, 1, 0x85, 0x89] + Array("}tR".utf8))
    result.append(Array("}X\u{1}\0\0\0aNs".utf8))
    result.append(Array("ccollections\nOrderedDict\n)R".utf8))
    return result
  }()
}
