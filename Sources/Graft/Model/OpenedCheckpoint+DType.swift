internal import GraftCore

extension OpenedCheckpoint {
  /// The companions of a copy whose floats have another dtype, or whose head is no longer the embedding, which
  /// `config.json` then says.
  func files(declaring dtype: DType?, untyingHead: Bool = false) throws(StorageError)
    -> [CompanionFile]
  {
    var changes: [String: JSONValue] = [:]
    if let name = dtype?.configurationName {
      for key in Self.dtypeKeys { changes[key] = .string(name) }
    }
    if untyingHead { changes[Self.tieKey] = false }
    guard !changes.isEmpty else { return files }
    var result: [CompanionFile] = []
    for file in files {
      guard file.name == "config.json", let config = try json(file.name).object else {
        result.append(file)
        continue
      }
      var members = config.members.map { (key: $0.key, value: changes[$0.key] ?? $0.value) }
      if untyingHead, !members.contains(where: { $0.key == Self.tieKey }) {
        members.append((Self.tieKey, false))
      }
      guard JSONObject(members: members) != config else {
        result.append(file)
        continue
      }
      let text = JSONValue.object(JSONObject(members: members)).serialized() + "\n"
      result.append(CompanionFile(name: file.name, bytes: Array(text.utf8)))
    }
    return result
  }

  /// The key of `config.json` that says whether embedding and head are one tensor.
  private static var tieKey: String { "tie_word_embeddings" }

  /// The keys of `config.json` that name the dtype of the weights.
  static var dtypeKeys: Set<String> { ["dtype", "torch_dtype"] }
}

extension DType {
  /// The dtype's name in `config.json`.
  fileprivate var configurationName: String? {
    switch self {
    case .f16: "float16"
    case .bf16: "bfloat16"
    case .f32: "float32"
    case .f64: "float64"
    case .bool, .f4, .f6E2M3, .f6E3M2, .u8, .i8, .f8E5M2, .f8E4M3, .f8E8M0, .f8E4M3FNUZ,
      .f8E5M2FNUZ, .i16, .u16, .i32, .u32, .c64, .i64, .u64, .q4_0, .q4_1, .q5_0, .q5_1, .q8_0,
      .q2K, .q3K, .q4K, .q5K, .q6K,
      .iq4NL, .iq4XS, .mxfp4, .iq1S, .iq1M, .iq2XXS, .iq2XS, .iq2S, .iq3XXS, .iq3S, .tq1_0, .tq2_0,
      .nvfp4, .q1_0:
      nil
    }
  }
}
