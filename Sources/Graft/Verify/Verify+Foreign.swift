internal import GraftAdapters
internal import GraftCore
internal import GraftFormats

extension OpenedCheckpoint {
  /// Whether this is an adapter in a layout that is neither merged nor trained here.
  var isForeignAdapter: Bool {
    get throws {
      if let gguf = reader as? GGUFReader { return gguf["general.type"]?.string == "adapter" }
      if kind == .tensors { return try Recognition(self, .null).kind == .adapter }
      let config = try json(ifPresent: LoRAConfiguration.fileName)
      return config?["fine_tune_type"] != nil || config?["lora_parameters"] != nil
    }
  }

  /// Checks that an adapter isn't in a layout that is neither merged nor trained here.
  ///
  /// - Throws: ``StorageError/Reason/unsupported(feature:found:)`` with the layout.
  func checkIsNotForeignAdapter() throws {
    guard try isForeignAdapter, let layout = try Recognition(self, .null).layout, layout != .peft
    else { return }
    throw StorageError(
      .unsupported(feature: "layout of adapters", found: layout.name), file: path,
      remedy:
        "bring it into PEFT's layout first: \(LoRAConfiguration.fileName) beside \(Adapter.fileName)"
    )
  }
}

extension Verification {
  /// Checks an adapter in a layout that isn't merged or trained here: each low-rank module has both factors, of one rank.
  mutating func checkForeignAdapter(_ checkpoint: OpenedCheckpoint) throws {
    let recognition = try Recognition(checkpoint, .null)
    guard let facts = recognition.adapter else { return }
    let reader = checkpoint.reader
    for module in AdapterModules(reader).modules where module.kind == .lowRank {
      let name = TensorName(utf8: module.name)
      guard let down = module.down, let up = module.up else {
        guard module.down != nil || module.up != nil else { continue }
        let missing = module.down == nil ? "input" : "output"
        defects.append(
          Defect(file: reader.path, "module \(name) has no factor next to its \(missing)"))
        continue
      }
      let (a, b) = (reader.tensors[down].shape, reader.tensors[up].shape)
      let ranks = recognition.layout.map { Self.ranks(of: a, b, $0) } ?? nil
      if let ranks, ranks.0 != ranks.1 {
        defects.append(
          Defect(
            file: reader.path, tensor: reader.tensors[up].name,
            offset: reader.extent(of: up)?.range.lowerBound,
            "rank \(ranks.1), expected \(ranks.0) as in \(reader.tensors[down].name)"))
      }
    }
    checks.append("factors of \(Quantity.of(facts.modules.count, "module"))")
    omissions.append("fit to the base: this layout of adapters isn't read for it")
  }

  /// The ranks that two factors have; nil where their layout has none.
  private static func ranks(
    of a: Shape, _ b: Shape, _ layout: Inspection.Layout
  ) -> (Int, Int)? {
    guard a.rank >= 2, b.rank >= 2 else { return nil }
    switch layout {
    case .mlx:
      // [in, rank] and [rank, out], or [experts, rank, in] and [experts, out, rank].
      return a.rank == 3 ? (a[1], b[2]) : (a[1], b[0])
    // A of an embedding is turned around.
    case .gguf: return a[1] == b[1] ? nil : (a[0], b[1])
    case .peft, .kohya, .diffusers: return (a[0], b[1])
    }
  }

  /// Checks the hash of all tensor bytes that sd-scripts writes into the metadata.
  mutating func checkHash(of checkpoint: OpenedCheckpoint) throws {
    guard let hash = try TensorHash.compared(checkpoint.reader) else { return }
    checks.append(TensorHash.key)
    if !hash.isRight {
      let stated = hash.stated.escapedShortened
      defects.append(
        Defect(
          file: hash.file.path,
          "\(TensorHash.key) is \(stated), the tensors' SHA-256 is \(hash.found)")
      )
    }
  }
}
