internal import GraftCore
internal import GraftFormats
internal import GraftHDF5

/// A checkpoint being written in some form: laid out, then filled, then made to appear.
struct Conversion {
  /// What the form has no place for.
  let losses: [ConversionLoss]
  private let source: OpenedCheckpoint
  private let plan: ConversionSource
  private let output: ConversionOutput
  /// What the source says of its bytes, and isn't so.
  private let corrections: [ConversionLoss]
  /// The words of a table, whose files last as long as this.
  private let words: SpilledVocabulary?
  private let threadCount: Int

  /// Lays the target out and writes everything but the tensors.
  ///
  /// - Throws: ``StorageError`` when the form can't hold the source, or the path can't be written.
  init(
    of source: OpenedCheckpoint, to path: String, _ options: ConversionOptions
  ) throws {
    let planned = try Self.planned(source, to: path, options)
    var plan = planned.plan
    let words = try plan.vocabulary.map { try SpilledVocabulary($0, beside: path) }
    if let words, !planned.form.hasPlaceForWords { plan = try plan.withWordTensors(words) }
    output = try ConversionOutput(
      path: path, form: planned.form, plan, words: words, overwrites: options.overwrites)
    self.source = source
    self.plan = plan
    self.words = words
    losses = planned.losses
    corrections =
      try planned.form == .safetensorsFile ? TensorHash.corrections(of: source.reader) : []
    threadCount = options.threadCount
  }

  /// Decides what is written, in what form, and what that has no place for.
  ///
  /// - Throws: ``StorageError`` when the form can't hold the source.
  static func planned(
    _ source: OpenedCheckpoint, to path: String, _ options: ConversionOptions
  ) throws -> (plan: ConversionSource, form: OutputForm, losses: [ConversionLoss]) {
    let form = options.form ?? OutputForm(for: path)
    let plan = try ConversionSource(
      source, form: form, dtype: options.storedDType(in: form, at: path), to: path)
    try plan.checkShards(in: form, of: source.path)
    let losses = plan.losses(in: form)
    try options.check(losses, writing: form, of: source.path)
    return (plan, form, losses)
  }

  /// Makes everything appear.
  func commit() throws(StorageError) { try output.commit() }

  /// What is written.
  var report: ConversionReport {
    ConversionReport(
      tensors: plan.tensors, convertedCount: convertedCount, fileNames: output.fileNames,
      losses: losses, notes: plan.notes + corrections)
  }

  /// How many tensors of the source have another dtype in the result.
  private var convertedCount: Int {
    if let table = plan.reader as? WordRows { return table.storedDType == .f32 ? 0 : 1 }
    let isRenamed = plan.gguf != nil || plan.keras != nil
    let before = isRenamed ? plan.reader.tensors : source.reader.tensors
    // The words of a table become tensors that the source doesn't have.
    return zip(plan.tensors, plan.places).count {
      before.indices.contains($1) && $0.dtype != before[$1].dtype
    }
  }

  // MARK: - Tensors

  /// A piece of a conversion.
  private enum Piece {
    /// A whole tensor, inside the kernel.
    case copy(tensor: Int)
    /// What the file says of a tensor's bytes, compared.
    case check(tensor: Int)
    /// Elements through memory, to a tensor of the plan.
    case tile(TensorTile, to: Int)
  }

  private var pieces: [Piece] {
    let tensors = plan.reader.tensors
    var pieces: [Piece] = []
    pieces.reserveCapacity(2 * plan.tensors.count)
    for (number, position) in plan.places.enumerated() {
      let tensor = tensors[position]
      if !output.isOrdered, plan.tensors[number] == tensor, plan.reader.extent(of: position) != nil
      {
        pieces.append(.copy(tensor: position))
        continue
      }
      let tiles = TensorTile.all(
        of: tensor, at: position,
        elementCount: TensorTile.elementCount(inMultiplesOf: plan.reader.grain(of: position)))
      pieces.append(.check(tensor: position))
      for tile in tiles { pieces.append(.tile(tile, to: number)) }
    }
    return pieces
  }

  /// Writes all tensors.
  func transfer(_ progress: Progress) throws {
    let (reader, planned, writer, pieces) = (plan.reader, plan.tensors, output.writer, pieces)
    let places = writer.positions
    try shareOut(pieces.count, threadCount: threadCount, worker: { try TileConverter() }) {
      item, converter in
      switch pieces[item] {
      case .check(let tensor): try reader.checkStoredBytes(of: tensor)
      case .copy(let tensor):
        guard let extent = reader.extent(of: tensor) else { return }
        try reader.checkStoredBytes(of: tensor)
        try writer.copy(extent, to: Self.place(of: reader.tensors[tensor].name, in: places))
        progress.advance(extent.range.count)
      case .tile(let tile, let number):
        let target = planned[number]
        let place = Self.place(of: target.name, in: places)
        let values = try converter.convert(tile, of: reader, to: target.dtype)
        try writer.write(values.bytes, of: place, at: tile.bytes(in: target.dtype).lowerBound)
        progress.advance(tile.bytes(in: reader.tensors[tile.tensor].dtype).count)
      }
    }
  }

  private static func place(of name: TensorName, in places: [TensorName: Int]) -> Int {
    guard let place = places[name] else {
      preconditionFailure("a writer has a place for each tensor of its plan, and none for \(name)")
    }
    return place
  }

  /// Makes what isn't a copy once more, and compares it with what was written.
  ///
  /// - Returns: The bytes compared.
  /// - Throws: ``StorageError`` naming the tensor that differs.
  func compareWritten() throws -> Int {
    let written = try OpenedCheckpoint(path: output.path).reader
    let (reader, places) = (plan.reader, written.positions)
    let tiles = pieces.compactMap { piece -> (tile: TensorTile, target: TensorInfo)? in
      guard case .tile(let tile, let target) = piece else { return nil }
      return (tile, plan.tensors[target])
    }
    try shareOut(tiles.count, threadCount: threadCount, worker: { try TileConverter() }) {
      item, converter in
      let (tile, target) = tiles[item]
      guard let place = places[target.name] else {
        throw StorageError(.notFound, file: written.path, tensor: target.name)
      }
      let values = try converter.convert(tile, of: reader, to: target.dtype)
      let range = tile.bytes(in: target.dtype)
      let stored = try MemorySlice(allocating: .u8, [range.count])
      try written.read(place, at: range.lowerBound, into: stored)
      guard stored.bytes.isSame(as: values.bytes) else {
        throw StorageError(
          .mismatch(
            subject: "what was written", expected: "what was computed", found: "other values"),
          file: written.path, tensor: target.name, offset: range.lowerBound)
      }
    }
    return tiles.reduce(0) { $0 + $1.tile.bytes(in: $1.target.dtype).count }
  }
}
