import Foundation
import Graft
import TestSupport
import Testing

@Suite struct `Comparing two checkpoints` {
  let workspace = TemporaryFolder()

  func write(_ tensors: [(TensorName, DType, [UInt8])], to name: String) throws
    -> OpenedCheckpoint
  {
    try write(tensors.map { ($0, $1, [$2.count / $1.layout.bytes], $2) }, to: name)
  }

  func write(_ tensors: [(TensorName, DType, Shape, [UInt8])], to name: String) throws
    -> OpenedCheckpoint
  {
    let infos = try tensors.map { name, dtype, shape, _ in
      try TensorInfo(name: name, dtype: dtype, shape: shape)
    }
    let file = try AtomicFile(path: workspace(name))
    let writer = try SafetensorsWriter(infos, to: file.output)
    for (index, info) in writer.tensors.enumerated() {
      let bytes = try #require(tensors.first { $0.0 == info.name }).3
      try writer.write(bytes, of: index, at: 0)
    }
    try writer.finish()
    try file.commit()
    return try OpenedCheckpoint(path: workspace(name))
  }

  func floats(_ values: [Float]) -> [UInt8] {
    values.flatMap { value in
      (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> ($0 * 8)) }
    }
  }

  @Test func `finds nothing between a model and itself`() throws {
    let model = try OpenedCheckpoint(path: golden("families/qwen3"))
    let result = try diff(model, model)
    #expect(result.isWithinTolerance)
    #expect(result.tensors.allSatisfy { $0.isEqual && $0.values?.maximumError == 0 })
    #expect(result.files.allSatisfy { $0.finding == .equal })
  }

  @Test func `computes errors and the cosine`() throws {
    let a = try write([("w", .f32, floats([3, 4, 0, 0]))], to: "a.safetensors")
    let b = try write([("w", .f32, floats([3, 3, 1, 0]))], to: "b.safetensors")
    let values = try #require(try diff(a, b).tensors.first?.values)
    #expect(values.maximumError == 1)
    #expect(abs(values.relativeError - 2.0.squareRoot() / 5) < 1e-15)
    #expect(abs(values.cosine - 21 / (5 * 19.0.squareRoot())) < 1e-15)
    #expect(values.differingCount == 2)
  }

  private func words(_ values: [UInt64]) -> [UInt8] {
    values.flatMap { value in (0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
  }

  @Test(arguments: [DType.i64, .u64])
  func `tells integers apart that are one as f64`(dtype: DType) throws {
    let a = try write([("w", dtype, words([1 << 53, 7, .max]))], to: "a.safetensors")
    let b = try write([("w", dtype, words([1 << 53 + 1, 7, .max - 2]))], to: "b.safetensors")
    let result = try diff(a, b)
    #expect(!result.isWithinTolerance)
    let values = try #require(result.tensors.first?.values)
    #expect(values.differingCount == 2)
    #expect(values.maximumError == 2)
    // ‖a‖ is 2⁵³ of signed integers, whose last one is −1, and 2⁶⁴ of unsigned ones.
    let norm = dtype == .i64 ? 0x1p53 : (0x1p106 + 0x1p128).squareRoot()
    #expect(abs(values.relativeError * norm / 5.0.squareRoot() - 1) < 1e-15)
  }

  @Test(arguments: [DType.i64, .u64])
  func `takes differences of integers before they are rounded`(dtype: DType) throws {
    // As f64 these are 2⁵³ + 4 and 2⁵³, which are 4 apart.
    let a = try write([("w", dtype, words([1 << 53 + 3]))], to: "a.safetensors")
    let b = try write([("w", dtype, words([1 << 53 + 1]))], to: "b.safetensors")
    let entry = try #require(try diff(a, b).tensors.first)
    #expect(entry.values?.maximumError == 2)
    #expect(abs((entry.values?.relativeError ?? 0) / 0x1p-52 - 1) < 1e-15)
    #expect(entry.passes(2) && !entry.passes(1.5))
    #expect(try diff(a, b, options: DiffOptions(tolerance: 2)).isWithinTolerance)
  }

  @Test func `tells signed integers from unsigned ones of the same bits`() throws {
    let bits = words([.max, 1 << 53 + 1, 5])
    let a = try write([("w", .i64, bits)], to: "a.safetensors")
    let b = try write([("w", .u64, bits)], to: "b.safetensors")
    let values = try #require(try diff(a, b).tensors.first?.values)
    #expect(values.differingCount == 1)
    #expect(values.maximumError == 0x1p64)
    let c = try write([("w", .u64, words([1 << 53]))], to: "c.safetensors")
    let d = try write([("w", .i64, words([1 << 53 + 1]))], to: "d.safetensors")
    let near = try #require(try diff(c, d).tensors.first?.values)
    #expect(near.differingCount == 1)
    #expect(near.maximumError == 1)
  }

  @Test func `tells integers of a transpose apart that are one as f64`() throws {
    let large: UInt64 = 1 << 53
    let a = try write(
      [("w", .i64, [2, 3], words([large, 1, 2, 3, 4, 5]))], to: "a.safetensors")
    let b = try write(
      [("w", .i64, [3, 2], words([large + 1, 3, 1, 4, 2, 5]))], to: "b.safetensors")
    let options = DiffOptions(comparesTransposes: true)
    let entry = try #require(try diff(a, b, options: options).tensors.first)
    #expect(entry.isTransposed && !entry.isEqual)
    #expect(entry.values?.differingCount == 1)
    #expect(entry.values?.maximumError == 1)
    #expect((entry.values?.relativeError ?? 0) > 0)
  }

  @Test func `takes the tolerance for the largest difference`() throws {
    let a = try write([("w", .f32, floats([1, 2]))], to: "a.safetensors")
    let b = try write([("w", .f32, floats([1, 2.5]))], to: "b.safetensors")
    #expect(try !diff(a, b).isWithinTolerance)
    #expect(try !diff(a, b, options: DiffOptions(tolerance: 0.49)).isWithinTolerance)
    #expect(try diff(a, b, options: DiffOptions(tolerance: 0.5)).isWithinTolerance)
  }

  @Test func `takes equal NaNs and infinities for equal, and no tolerance for others`() throws {
    let a = try write(
      [("w", .f32, floats([.nan, .infinity, -.infinity, 1]))], to: "a.safetensors")
    let same = try write(
      [
        (
          "w", .f64,
          [Double.nan, .infinity, -.infinity, 1].flatMap { value in
            (0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> ($0 * 8)) }
          }
        )
      ], to: "b.safetensors")
    let other = try write(
      [("w", .f32, floats([.nan, 1, -.infinity, 1]))], to: "c.safetensors")
    #expect(try diff(a, same).isWithinTolerance)
    let result = try diff(a, other, options: DiffOptions(tolerance: .greatestFiniteMagnitude))
    #expect(!result.isWithinTolerance)
    #expect(result.tensors.first?.values?.incomparableCount == 1)
  }

  private func doubles(_ values: [Double]) -> [UInt8] {
    values.flatMap { value in
      (0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> ($0 * 8)) }
    }
  }

  private func values(
    _ first: [Double], _ second: [Double]
  ) throws -> (values: Comparison.Values, json: JSONValue) {
    let a = try write([("w", .f64, doubles(first))], to: "a.safetensors")
    let b = try write([("w", .f64, doubles(second))], to: "b.safetensors")
    let result = try diff(a, b)
    let text = result.json.serialized()
    let json = try #require(
      try JSONValue.parse(Array(text.utf8), file: "json")["tensors"]?[0])
    return (try #require(result.tensors.first?.values), json)
  }

  @Test func `an infinite difference leaves the cosine to the other values`() throws {
    let found = try values([.infinity, 3, 4], [1, 4, 3]).values
    #expect(found.maximumError == .infinity)
    #expect(found.relativeError == .infinity)
    #expect(found.cosine == 0.96)
    #expect(found.differingCount == 3)
    #expect(found.incomparableCount == 1)
  }

  @Test func `zeros beside values beyond f64's squares are compared`() throws {
    let found = try values([0, -0.0, 0], [0x1p600, 0, 0]).values
    #expect(found.maximumError == 0x1p600)
    #expect(found.cosine == 0)
    #expect(found.differingCount == 1)
  }

  /// Their squares are beyond f64, or below it.
  @Test(arguments: [520, 1000, 1020, -520, -1000, -1070])
  func `computes errors and the cosine of values however large or small`(exponent: Int) throws {
    let scale = Double(sign: .plus, exponent: exponent, significand: 1)
    let (first, second): ([Double], [Double]) = (
      [3, 4, 0, 0, 1, 2, 3, 4, 5], [3, 3, 1, 0, 1, 2, 3, 4, 5]
    )
    let expected = try values(first, second).values
    let found = try values(first.map { $0 * scale }, second.map { $0 * scale }).values
    #expect(found.maximumError == scale)
    #expect(found.relativeError == expected.relativeError)
    #expect(abs(found.cosine - expected.cosine) < 1e-15)
    #expect(found.differingCount == 2)
  }

  @Test func `adds up parts of very different size`() throws {
    // Tiles of 2⁵²⁰, of 1, and of 2⁻⁵⁰⁰.
    let count = 1 << 17
    let parts = [520, 0, -500].map { Double(sign: .plus, exponent: $0, significand: 1) }
    func spread(_ values: [Double]) -> [Double] {
      values.flatMap { [Double](repeating: $0, count: count) }
    }
    for change in 0..<3 {
      var other = parts
      other[change] *= 2
      for isReversed in [false, true] {
        let (a, b) = (isReversed ? parts.reversed() : parts, isReversed ? other.reversed() : other)
        let found = try values(spread(a), spread(b)).values
        #expect(found.maximumError == parts[change])
        #expect(abs(found.relativeError / (parts[change] / parts[0]) - 1) < 1e-12)
        #expect(abs(found.cosine - 1) < 1e-12)
        #expect(found.differingCount == count)
      }
    }
  }

  @Test func `a difference that f64 doesn't hold is infinite, and the relative error isn't`() throws
  {
    let largest = Double.greatestFiniteMagnitude
    let (found, json) = try values([largest, largest], [-largest, -largest])
    #expect(found.maximumError == .infinity)
    #expect(abs(found.relativeError - 2) < 1e-15)
    #expect(abs(found.cosine + 1) < 1e-15)
    #expect(json["maxAbs"]?.isNull == true)
    #expect(json["relativeError"]?.double == found.relativeError)
  }

  @Test(
    arguments: [
      ([1, .infinity, 3], [1, 2, 3], Double.infinity),
      ([1, .infinity, 3], [1, -.infinity, 3], .infinity),
      ([1, 2, 3], [1, -.infinity, 3], .infinity), ([1, .nan, 3], [1, 2, 3], 0),
      ([1, .infinity, 3], [1, .nan, 3], 0),
    ] as [([Double], [Double], Double)])
  func `infinity is infinitely far from all but itself, and NaN can't be compared`(
    first: [Double], second: [Double], error: Double
  ) throws {
    let (found, json) = try values(first, second)
    #expect(found.maximumError == error)
    #expect(found.relativeError == error)
    #expect(abs(found.cosine - 1) < 1e-15)
    #expect(found.differingCount == 1)
    #expect(found.incomparableCount == 1)
    #expect(json["equal"]?.bool == false)
    #expect(json["maxAbs"]?.double == (error == 0 ? 0 : nil))
    #expect(json["relativeError"]?.double == (error == 0 ? 0 : nil))
    #expect(json["incomparableCount"]?.int == 1)
  }

  @Test func `compares numbers across dtypes`() throws {
    let f16: [UInt8] = [0x00, 0x3C, 0x00, 0xC0]
    let bf16: [UInt8] = [0x80, 0x3F, 0x00, 0xC0]
    let a = try write([("w", .f16, f16), ("x", .i8, [1, 254])], to: "a.safetensors")
    let b = try write([("w", .bf16, bf16), ("x", .f32, floats([1, -2]))], to: "b.safetensors")
    #expect(try diff(a, b).isWithinTolerance)
  }

  /// The values of torch.float8_e4m3fn and its relatives for these bytes.
  @Test(arguments: [
    (DType.f8E4M3, UInt8(0x7E), Float(448)), (.f8E4M3, 0x01, 0x1p-9), (.f8E4M3, 0xB8, -1),
    (.f8E5M2, 0x7B, 57344), (.f8E5M2, 0x01, 0x1p-16), (.f8E5M2, 0x7C, .infinity),
    (.f8E4M3FNUZ, 0x7F, 240), (.f8E4M3FNUZ, 0x80, .nan), (.f8E5M2FNUZ, 0x7F, 57344),
    (.f8E8M0, 0x80, 2), (.f8E8M0, 0xFF, .nan),
  ])
  func `knows 8-bit floats`(dtype: DType, bits: UInt8, value: Float) throws {
    let a = try write([("w", dtype, [bits])], to: "a.safetensors")
    let b = try write([("w", .f32, floats([value]))], to: "b.safetensors")
    #expect(try diff(a, b).tensors.first?.isEqual == true)
  }

  // MARK: - Names

  @Test func `takes the names that an architecture has for one tensor for one`() throws {
    let model = try OpenedCheckpoint(path: golden("families/gpt2"))
    let prefix = "transformer."
    let tensors = try model.reader.tensors.map { info in
      let name =
        info.name.hasPrefix(prefix)
        ? String(info.name.text.dropFirst(prefix.count)) : prefix + info.name.text
      let other = info.name == "lm_head.weight" ? info.name : TensorName(name)
      return (other, info.dtype, info.shape, try model.reader.bytes(info.name))
    }
    let other = try write(tensors, to: "base.safetensors")
    let result = try diff(model, other)
    #expect(result.onlyInFirst.isEmpty)
    #expect(result.onlyInSecond.isEmpty)
    #expect(result.tensors.allSatisfy { $0.isEqual })
    #expect(result.tensors.map(\.name) == model.reader.tensors.map(\.name))
  }

  @Test(arguments: [false, true])
  func `compares a stored copy of a tied tensor with the tensor`(isSwapped: Bool) throws {
    let model = try OpenedCheckpoint(path: golden("families/llama-tied"))
    let path = try workspace.copy(golden("families/llama-tied"), to: "copy")
    let head = try model.reader.bytes("model.embed_tokens.weight")
    let tensors = try model.reader.tensors.map {
      ($0.name, $0.dtype, $0.shape, try model.reader.bytes($0.name))
    }
    let embedding = try #require(tensors.first { $0.0 == "model.embed_tokens.weight" })
    _ = try write(
      tensors + [("lm_head.weight", embedding.1, embedding.2, head)],
      to: "copy/model.safetensors")
    let other = try OpenedCheckpoint(path: path)
    let result = isSwapped ? try diff(other, model) : try diff(model, other)
    #expect(result.onlyInFirst.isEmpty)
    #expect(result.onlyInSecond.isEmpty)
    #expect(result.isWithinTolerance)
    #expect(result.tensors.count == tensors.count + 1)
    #expect(result.tensors.contains { $0.name == "lm_head.weight" })
  }

  @Test(arguments: [false, true])
  func `compares the copies of many tied tensors with what they are copies of`(
    isSwapped: Bool
  ) throws {
    let numbers = 0..<UInt8(9)
    let kept = numbers.map { (TensorName("kept\($0)"), DType.u8, [$0]) }
    let copies = numbers.map { (TensorName("copy\($0)"), DType.u8, [$0]) }
    let full = try write(kept + copies, to: "full.safetensors")
    let file = try AtomicFile(path: workspace("tied.safetensors"))
    let writer = try SafetensorsWriter(
      try kept.map { try TensorInfo(name: $0.0, dtype: $0.1, shape: [1]) },
      metadata: numbers.map { MetadataEntry(key: "copy\($0)", value: "kept\($0)") },
      to: file.output)
    for (index, info) in writer.tensors.enumerated() {
      let bytes = try #require(kept.first { $0.0 == info.name }).2
      try writer.write(bytes, of: index, at: 0)
    }
    try writer.finish()
    try file.commit()
    let tied = try OpenedCheckpoint(path: workspace("tied.safetensors"))
    let result = isSwapped ? try diff(full, tied) : try diff(tied, full)
    #expect(result.onlyInFirst.isEmpty)
    #expect(result.onlyInSecond.isEmpty)
    #expect(result.isWithinTolerance)
    #expect(Set(result.tensors.map(\.name)) == Set((kept + copies).map(\.0)))
  }

  @Test func `tells the dtypes of the files, not those of the comparison`() throws {
    let gguf = try OpenedCheckpoint(path: golden("gguf/qwen2.gguf"))
    _ = try convert(gguf, to: workspace("model"))
    let result = try diff(gguf, OpenedCheckpoint(path: workspace("model")))
    #expect(!result.tensors.isEmpty)
    #expect(
      result.tensors.allSatisfy { $0.dtypes.first == .f32 && $0.dtypes.second == $0.second.dtype })
  }

  @Test(arguments: [nil, "mine", "llama"])
  func `takes GGUF of no known architecture, or of a piece of a model, by its own names`(
    architecture: String?
  ) throws {
    let tensors: [(TensorName, DType, Shape, [UInt8])] = [
      ("blk.0.w", .f32, [2, 2], floats([1, 2, 3, 4]))
    ]
    let plain = try write(tensors, to: "a.safetensors")
    let other = try write([("blk.0.w", .f32, [2, 2], floats([1, 2, 3, 5]))], to: "b.safetensors")
    var entries: [(key: String, value: GGUFValue)] = []
    if let architecture { entries.append(("general.architecture", .string(architecture))) }
    let file = try AtomicFile(path: workspace("a.gguf"))
    let writer = try GGUFWriter(plain.reader.tensors, entries: entries, to: file.output)
    try writer.write(tensors[0].3, of: 0, at: 0)
    try writer.finish()
    try file.commit()
    let gguf = try OpenedCheckpoint(path: workspace("a.gguf"))
    #expect(try diff(plain, gguf).isWithinTolerance)
    let result = try diff(gguf, other)
    #expect(result.tensors.map(\.name) == ["blk.0.w"])
    #expect(result.tensors.first?.values?.maximumError == 1)
    #expect(result.onlyInFirst.isEmpty && result.onlyInSecond.isEmpty)
  }

  @Test func `lists what only one side has`() throws {
    let a = try write([("v", .u8, [1]), ("w", .u8, [1])], to: "a.safetensors")
    let b = try write([("w", .u8, [1]), ("x", .u8, [1])], to: "b.safetensors")
    let result = try diff(a, b)
    #expect(result.onlyInFirst.map(\.name) == ["v"])
    #expect(result.onlyInSecond.map(\.name) == ["x"])
    #expect(!result.isWithinTolerance)
  }

  @Test func `finds changed companion files`() throws {
    let path = try workspace.copy(golden("families/qwen3"), to: "model")
    try "{}".write(toFile: path + "/generation_config.json", atomically: true, encoding: .utf8)
    let result = try diff(
      OpenedCheckpoint(path: golden("families/qwen3")), OpenedCheckpoint(path: path))
    #expect(result.tensors.allSatisfy { $0.isEqual })
    let changed = result.files.filter { $0.finding != .equal }
    #expect(changed.map(\.name) == ["generation_config.json"])
    #expect(changed.map(\.finding) == [.different])
  }

  @Test(arguments: [1, 2, 7])
  func `gives the same sums with any number of threads`(threads: Int) throws {
    let first = try OpenedCheckpoint(path: golden("families/llama-tied"))
    let second = try OpenedCheckpoint(path: golden("merge/llama-tied"))
    let one = try diff(first, second, options: DiffOptions(threadCount: 1)).json
    #expect(try diff(first, second, options: DiffOptions(threadCount: threads)).json == one)
  }
}
