import GraftCore
import GraftFormats
import Testing

/// Pickles made to take more memory, time or stack than their bytes are worth.
struct HostilePickleTests {
  private static let none: [UInt8] = [0x4E]
  private static let frame: (start: [UInt8], end: [UInt8]) = ([0x80, 2], [0x2E])

  private static func pickle(_ parts: [UInt8]...) -> [UInt8] {
    frame.start + parts.joined() + frame.end
  }

  private static func text(_ text: String) -> [UInt8] {
    [0x8C, UInt8(text.utf8.count)] + Array(text.utf8)
  }

  private static func global(_ module: String, _ name: String) -> [UInt8] {
    Array("c\(module)\n\(name)\n".utf8)
  }

  /// An ordered dictionary, remembered at 0, with so many entries; it stays on the stack.
  private static func dictionary(of count: Int, key: [UInt8] = [0x68, 1]) -> [UInt8] {
    global("collections", "OrderedDict") + [0x29, 0x52, 0x71, 0, 0x28]
      + (0..<count).flatMap { _ in key + none } + [0x75]
  }

  /// A tensor of four floats in storage 0.
  private static let tensor: [UInt8] =
    global("torch._utils", "_rebuild_tensor_v2") + [0x28, 0x28] + text("storage")
    + global("torch", "FloatStorage") + text("0") + text("cpu")
    + [0x4B, 4, 0x74, 0x51, 0x4B, 0, 0x4B, 4, 0x85, 0x4B, 1, 0x85, 0x89]
    + global("collections", "OrderedDict") + [0x29, 0x52, 0x74, 0x52]

  @Test func `keys that hold dictionaries with such keys don't fill the stack`() throws {
    let count = 100_000
    // Dictionaries wait on the stack, and each gets a tuple with the one above it as its key.
    let bytes = Self.pickle(
      [UInt8](repeating: 0x7D, count: count),
      (1..<count).flatMap { _ in [0x85] + Self.none + [0x73] })
    #expect(try PyTorchReader.tensorNames(inPickle: bytes).isEmpty)
  }

  @Test func `containers that were met at the top aren't taken for shallow ones`() throws {
    // Item k is a list of 40 levels around item k - 1, and the last one has 40 × k.
    let items = (1...40).flatMap { number -> [UInt8] in
      [UInt8](repeating: 0x5D, count: 40) + (number == 1 ? Self.tensor : [0x68, UInt8(number - 1)])
        + [UInt8](repeating: 0x61, count: 40) + [0x71, UInt8(number)]
    }
    let error = #expect(throws: StorageError.self) {
      try PyTorchReader.tensorNames(inPickle: Self.pickle([0x5D, 0x28], items, [0x65]))
    }
    #expect(error?.diagnosis.summary.contains("levels of a pickle (pytorch P-16)") == true)
  }

  @Test func `a tuple given to many calls isn't copied for each`() throws {
    #expect(
      try growth(upTo: 64_000) { count in
        let arguments = [0x28] + [UInt8](repeating: 0x4E, count: count) + [0x74, 0x71, 0]
        let calls = (0..<count).flatMap { _ in [0x68, 1, 0x68, 0, 0x52] as [UInt8] }
        let device = Self.global("torch", "device") + [0x71, 1]
        let bytes = Self.pickle([0x5D, 0x28], arguments, device, calls, [0x65])
        _ = try PyTorchReader.tensorNames(inPickle: bytes)
      } < linearGrowth)
  }

  @Test func `a dictionary that is the state of many values takes from the budget each time`() {
    let states = (0..<200_000).flatMap { _ in [0x68, 0, 0x62] as [UInt8] }
    let bytes = Self.pickle(Self.text("a"), [0x71, 1], Self.dictionary(of: 50_000), states)
    let error = #expect(throws: StorageError.self) {
      try PyTorchReader.tensorNames(inPickle: bytes)
    }
    #expect(error?.diagnosis.summary.contains("values of a pickle (pytorch P-16)") == true)
  }

  @Test func `a long key of many attributes is compared no further than it takes`() throws {
    #expect(
      try growth(upTo: 32_000) { count in
        let key = [UInt8(0x58)] + (0..<4).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) }
        let bytes = Self.pickle(
          [0x5D, 0x28], key, [UInt8](repeating: 0x61, count: count), [0x71, 1],
          Self.dictionary(of: count), [0x68, 0, 0x62, 0x65])
        _ = try? PyTorchReader.tensorNames(inPickle: bytes)
      } < linearGrowth)
  }
}
