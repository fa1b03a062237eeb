internal import GraftAdapters
public import GraftCore
internal import GraftHDF5

/// Merges adapters into a base and writes the tuned model whole: W' = round(W + Σ weight · scaling · B · A).
///
/// Tensors are streamed by tiles of rows, so memory doesn't grow with the model; what no adapter touches is copied
/// inside the kernel. The sum is rounded once to the dtype of the base. Input and output may be the same path.
/// - Parameters:
///   - base: The model.
///   - adapters: The adapters with their weights; updates are added in this order.
///   - output: A directory, or an `.h5` file, which appears complete or not at all.
///   - progress: Told of bytes written.
/// - Returns: What happened to every tensor.
/// - Throws: ``AdapterError`` when an adapter doesn't fit the base, ``StorageError`` when files can't be read or written.
public func merge(
  base: OpenedCheckpoint, adapters: [WeightedAdapter], output path: String,
  options: MergeOptions = MergeOptions(), progress: Progress = .none
) throws -> MergeReceipt {
  let plan = try MergePlan(base: base, adapters: adapters, dtype: options.dtype)
  let form = options.form ?? OutputForm(for: path)
  let output = try CheckpointOutput(
    path: path, form: form, tensors: plan.tensors.map(\.info), metadata: plan.metadata,
    files: try plan.companions(dtype: options.dtype))
  var run = MergeRun(plan, threadCount: form.isOrdered ? 1 : options.threadCount)
  try run.write(to: output.writer, progress)
  try output.commit()
  var receipt = MergeReceipt(plan, run.sums)
  if options.verifies {
    let written = try OpenedCheckpoint(path: path)
    receipt.verifiedByteCount = try run.compare(with: written)
  }
  return receipt
}

extension OutputForm {
  /// Whether the bytes of the file depend on the order in which tiles are written.
  var isOrdered: Bool {
    switch self {
    case .safetensors: false
    case .hdf5(let compression): compression != .none
    }
  }
}

extension MergePlan {
  /// The base's metadata; transformers wants to be told the framework.
  var metadata: [MetadataEntry] {
    let kept = base.reader.format == .gguf ? [] : base.reader.metadata
    return kept.contains { $0.key == "format" }
      ? kept : kept + [MetadataEntry(key: "format", value: "pt")]
  }

  /// The base's companions; a new dtype is written into `config.json`.
  func companions(dtype: DType?) throws(StorageError) -> [CompanionFile] {
    guard let name = dtype?.configurationName else { return base.files }
    var files: [CompanionFile] = []
    for file in base.files {
      guard file.name == "config.json", let config = try base.json(file.name).object else {
        files.append(file)
        continue
      }
      let members = config.members.map { member -> (key: String, value: JSONValue) in
        ["dtype", "torch_dtype"].contains(member.key)
          ? (member.key, .string(name)) : member
      }
      let text = JSONValue.object(JSONObject(members: members)).serialized() + "\n"
      files.append(CompanionFile(name: file.name, bytes: Array(text.utf8)))
    }
    return files
  }
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
      .q2K, .q3K, .q4K, .q5K, .q6K:
      nil
    }
  }
}
