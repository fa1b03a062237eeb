public import GraftCore
package import GraftKernels

/// The number format of a model's matrices and activations during computation.
public enum ComputePrecision: String, Sendable, CaseIterable {
  /// bf16 weights and GEMM inputs, f32 accumulation, norms, loss and adapters.
  case bf16
  /// f32 throughout.
  case f32

  /// The dtype of matrices and activations.
  public var dtype: DType { self == .bf16 ? .bf16 : .f32 }
}

/// A model's tensors: mapped where the file's bytes can be used in place, else converted into memory when first asked for.
public struct ModelWeights: Sendable {
  private enum Source: Sendable {
    case file(StoredWeight)
    /// What training or an adapter put in a weight's place.
    case memory(MemorySlice)
  }

  private let sources: [TensorName: Source]

  private init(_ sources: [TensorName: Source]) { self.sources = sources }

  // MARK: - Tensors

  /// The tensors by name.
  ///
  /// - Throws: ``StorageError`` when reading fails or memory runs out.
  public var tensors: [TensorName: MemorySlice] {
    get throws(StorageError) {
      var result: [TensorName: MemorySlice] = [:]
      for (name, source) in sources { result[name] = try Self.slice(of: source) }
      return result
    }
  }

  /// The tensor of a name that the architecture is known to have.
  ///
  /// - Precondition: the name was among those loaded.
  package subscript(_ name: TensorName) -> MemorySlice {
    get throws(StorageError) { try Self.slice(of: source(of: name)) }
  }

  private static func slice(of source: Source) throws(StorageError) -> MemorySlice {
    switch source {
    case .file(let weight): try weight.slice()
    case .memory(let slice): slice
    }
  }

  private func source(of name: TensorName) -> Source {
    guard let source = sources[name] else { preconditionFailure("\(name) was loaded") }
    return source
  }

  /// Whether the model has a tensor.
  package func contains(_ name: TensorName) -> Bool { sources[name] != nil }

  /// The dtype and shape that a tensor has in memory, without bringing it there.
  package func type(of name: TensorName) -> (dtype: DType, shape: Shape) {
    switch source(of: name) {
    case .file(let weight): (weight.dtype, weight.info.shape)
    case .memory(let slice): (slice.dtype, slice.shape)
    }
  }

  /// Bytes mapped from files; the system may drop and reread them.
  public var mappedByteCount: Int {
    sources.values.reduce(0) { sum, source in
      guard case .file(let weight) = source, weight.isMapped else { return sum }
      return sum + weight.info.byteCount
    }
  }

  /// Bytes of the tensors that are converted into memory of their own when they are used.
  public var convertedByteCount: Int {
    sources.values.reduce(0) { sum, source in
      guard case .file(let weight) = source, !weight.isMapped else { return sum }
      return sum + weight.info.shape.elementCount * weight.dtype.layout.bytes
    }
  }

  /// What tells the weights that come from files from others, wherever those files are.
  ///
  /// - Throws: ``StorageError`` when reading fails.
  package var fingerprint: String {
    get throws(StorageError) {
      var fingerprint = try TensorFingerprint()
      for (name, source) in sources.sorted(by: { $0.key < $1.key }) {
        if case .file(let weight) = source { try weight.combine(into: &fingerprint, named: name) }
      }
      return fingerprint.text
    }
  }

  // MARK: - Training

  /// The weights with some tensors in other memory: the f32 masters of trained ones, or what an adapter brings.
  package func replacing(_ values: [TensorName: MemorySlice]) -> ModelWeights {
    ModelWeights(sources.merging(values.mapValues(Source.memory)) { _, new in new })
  }

  /// A copy of a tensor in f32, from the file's values, for training to change.
  ///
  /// - Precondition: the name was among those loaded, and nothing replaces it.
  package func master(of name: TensorName) throws(StorageError) -> MemorySlice {
    guard case .file(let weight) = source(of: name) else {
      preconditionFailure("\(name) comes from a file")
    }
    return try weight.converted(to: .f32)
  }

  /// The name that a tensor has in its file; nil for one that doesn't come from a file.
  package func storedName(of name: TensorName) -> TensorName? {
    guard case .file(let weight) = source(of: name) else { return nil }
    return weight.info.name
  }

  /// The dtype that a tensor is computed with: matrices have the precision's, vectors keep theirs.
  package static func dtype(
    of shape: Shape, stored: DType, precision: ComputePrecision
  ) -> DType {
    shape.rank >= 2 ? precision.dtype : (stored == .f16 || stored == .f64 ? .f32 : stored)
  }

  // MARK: - Loading

  /// Loads the tensors that an architecture needs from an open checkpoint.
  ///
  /// `stored` gives the names under which a tensor may stand, the usual one first. Matrices become the precision's dtype; vectors (norm weights, biases) keep theirs. Tensors that the architecture
  /// doesn't know are left alone.
  /// - Throws: ``ModelError`` for a missing tensor, another shape or a dtype without arithmetic, ``StorageError`` when
  ///   mapping fails.
  package init(
    _ checkpoint: any CheckpointReader, needed: [(name: TensorName, shape: Shape)],
    stored: (TensorName) -> [TensorName] = { [$0] }, precision: ComputePrecision,
    kernels: Kernels
  ) throws {
    let positions = Dictionary(
      checkpoint.tensors.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first }
    )
    var sources: [TensorName: Source] = [:]
    var files: [FileIdentity: Memory] = [:]
    for (name, shape) in needed {
      guard let position = stored(name).lazy.compactMap({ positions[$0] }).first else {
        throw ModelError(.missingTensor, file: checkpoint.path, tensor: name)
      }
      let info = checkpoint.tensors[position]
      guard info.shape == shape else {
        throw ModelError(
          .shapeMismatch(expected: shape, found: info.shape), file: checkpoint.path, tensor: name)
      }
      guard info.dtype == .f32 || info.dtype == .bf16 || info.dtype == .f16 else {
        throw ModelError(
          .dtype(found: info.dtype), file: checkpoint.path, tensor: name,
          remedy: "convert the model first: graft convert \(checkpoint.path) DIR --dtype bf16")
      }
      let wanted = Self.dtype(of: shape, stored: info.dtype, precision: precision)
      var mapped: MemorySlice?
      if info.dtype == wanted, let extent = checkpoint.extent(of: position),
        extent.range.lowerBound % (wanted.layout.bytes) == 0
      {
        let memory: Memory
        if let known = files[extent.file.identity] {
          memory = known
        } else {
          memory = try Memory(mapping: extent.file)
          files[extent.file.identity] = memory
        }
        mapped = MemorySlice(memory, at: extent.range.lowerBound, dtype: wanted, shape: shape)
      }
      sources[name] = .file(
        StoredWeight(checkpoint, position, dtype: wanted, mapped: mapped, kernels: kernels))
    }
    self.sources = sources
  }
}
