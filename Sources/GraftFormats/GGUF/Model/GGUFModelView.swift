package import GraftCore
internal import GraftKernels

/// A Hugging Face model shown as the GGUF checkpoint that is made from it: the inverse of ``GGUFModel``.
///
/// Names, shapes and row order are GGUF's, dtypes the model's own, but for norms that GGUF holds otherwise, which are f32.
package struct GGUFModelView: CheckpointReader {
  /// The model underneath.
  package let source: any CheckpointReader
  /// The tensors under their names in GGUF.
  package let tensors: [TensorInfo]
  /// The tensors of the source that have no place in GGUF.
  package let surplus: [TensorName]
  private let places: [Place]

  private enum Place: Sendable {
    /// A tensor of the source.
    case stored(Int, GGUFArrangement)
    /// Values that a configuration has in other words.
    case made([Float])
  }

  /// Maps a model.
  ///
  /// - Parameter storedNames: The names under which the source may hold a tensor, its own first.
  /// - Throws: ``StorageError`` for a tensor that is missing, has another shape, or isn't of floats, naming it.
  package init(
    _ source: any CheckpointReader, _ parameters: GGUFParameters,
    storedNames: (TensorName) -> [TensorName]
  ) throws(StorageError) {
    let positions = Dictionary(
      source.tensors.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    var tensors: [TensorInfo] = []
    var places: [Place] = []
    var used: Set<TensorName> = []
    func add(_ name: TensorName, _ dtype: DType, _ shape: Shape, _ place: Place)
      throws(StorageError)
    {
      do {
        tensors.append(try TensorInfo(name: name, dtype: dtype, shape: shape))
      } catch {
        throw StorageError(.overflow(part: "tensor"), file: source.path, tensor: name)
      }
      places.append(place)
    }
    for tensor in parameters.tensors {
      let names = storedNames(tensor.name)
      guard let index = names.compactMap({ positions[$0] }).first else {
        throw StorageError(
          .mismatch(subject: "config.json", expected: "the tensor", found: "none"),
          file: source.path, tensor: tensor.name,
          remedy: "the model lacks it: graft verify lists all that are missing")
      }
      let info = source.tensors[index]
      guard info.shape == tensor.shape else {
        throw StorageError(
          .mismatch(
            subject: "the shape of a tensor", expected: tensor.shape.description,
            found: info.shape.description), file: source.path, tensor: info.name)
      }
      guard info.dtype.isComputableFloat else {
        throw StorageError(
          .unsupported(feature: "dtype of a model's weights for GGUF", found: "\(info.dtype)"),
          file: source.path, tensor: info.name)
      }
      used.insert(info.name)
      try add(
        tensor.source, tensor.arrangement == .plusOne ? .f32 : info.dtype,
        tensor.arrangement.stored(tensor.shape), .stored(index, tensor.arrangement))
    }
    if let factors = parameters.ropeScaling.factors(
      theta: parameters.ropeTheta, headWidth: parameters.headWidth)
    {
      try add(GGUFRope.tensorName, .f32, Shape(trusted: [factors.count]), .made(factors))
    }
    self.source = source
    self.tensors = tensors
    self.places = places
    surplus = source.tensors.map(\.name).filter {
      !used.contains($0) && !Self.isComputed($0) && !(parameters.isTied && $0 == "lm_head.weight")
    }
  }

  /// Whether a tensor holds what every program computes itself: masks and frequencies.
  private static func isComputed(_ name: TensorName) -> Bool {
    [".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"].contains { name.hasSuffix($0) }
  }

  /// GGUF.
  package var format: CheckpointFormat { .gguf }

  /// The path of the source.
  package var path: String { source.path }

  /// The source's.
  package var metadata: [MetadataEntry] { source.metadata }

  /// Fills `buffer` with values in GGUF's order.
  ///
  /// - Precondition: `byteOffset` and the buffer's size are whole elements.
  package func read(_ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan)
    throws(StorageError)
  {
    let info = tensors[tensor]
    let width = info.dtype.layout.bytes
    let elements = byteOffset / width..<(byteOffset + buffer.byteCount) / width
    switch places[tensor] {
    case .made(let values):
      for (place, value) in values[elements].enumerated() {
        buffer.storeBytes(of: value, toByteOffset: place * 4, as: Float.self)
      }
    case .stored(let index, .same):
      try source.read(index, at: byteOffset, into: &buffer)
    case .stored(let index, .headRows(let order)):
      try GGUFArrangement.reorder(
        info.shape, headWidth: order.headWidth, elements, width: width, into: &buffer,
        place: order.modelRow
      ) { range, bytes throws(StorageError) in
        try source.read(index, at: range.lowerBound * width, into: &bytes)
      }
    case .stored(let index, .transposed):
      try GGUFArrangement.transpose(info.shape, elements, width: width, into: &buffer) {
        range, bytes throws(StorageError) in
        try source.read(index, at: range.lowerBound * width, into: &bytes)
      }
    case .stored(let index, .plusOne):
      let dtype = source.tensors[index].dtype
      let stored = dtype.layout.bytes
      var raw = [UInt8](repeating: 0, count: elements.count * stored)
      try raw.withMutableRawBytes { (bytes: inout MutableRawSpan) throws(StorageError) in
        try source.read(index, at: elements.lowerBound * stored, into: &bytes)
      }
      guard Quantization.supports(dtype) else {
        throw StorageError(
          .unsupported(feature: "dtype of a norm for GGUF", found: "\(dtype)"), file: path,
          tensor: source.tensors[index].name)
      }
      var values = [Float](repeating: 0, count: elements.count)
      values.withMutableRawBytes { values in
        raw.withRawBytes { Quantization.dequantize($0, dtype, into: &values) }
      }
      for (place, value) in values.enumerated() {
        buffer.storeBytes(of: value + 1, toByteOffset: place * 4, as: Float.self)
      }
    }
  }

  /// The source's, for tensors in the order of the model.
  package func grain(of tensor: Int) -> Int {
    switch places[tensor] {
    case .stored(let index, .same), .stored(let index, .headRows), .stored(let index, .plusOne):
      source.grain(of: index)
    case .stored(_, .transposed), .made: 1
    }
  }

  /// Where the bytes lie, for tensors that GGUF holds just as the model does.
  package func extent(of tensor: Int) -> FileExtent? {
    guard case .stored(let index, .same) = places[tensor] else { return nil }
    return source.extent(of: index)
  }
}
